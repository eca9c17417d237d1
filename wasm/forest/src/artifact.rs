use crate::{crc32, Error};

pub const MAGIC: [u8; 4] = *b"SKIF";
pub const VERSION: u16 = 1;
/// In the feature column: the node is a leaf, and its value is a path length.
pub const LEAF: u8 = 255;
pub const MAX_FEATURES: usize = 254;
pub const MAX_TREES: usize = 1024;
pub const MAX_NODES: usize = 1 << 20;
/// Enough for sub-samples of 4,096 records at scikit-learn's depth limit of log2.
pub const MAX_DEPTH: usize = 12;

const HEADER: usize = 32;
const TRAILER: usize = 4;

/// One node as the artifact stores it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Node {
    /// `x[feature] <= threshold` goes to the first child, everything else to the second.
    Split { feature: u8, threshold: f32 },
    /// Depth of the leaf plus the average path length of what training left in it.
    Leaf { path: f32 },
}

/// A checked view of an artifact's bytes (`wasm/SPEC.md`). To hold one is to know that every tree is finite, at most
/// [`MAX_DEPTH`] deep, and refers to existing nodes and features only.
#[derive(Clone, Copy, Debug)]
pub struct Artifact<'a> {
    features: usize,
    trees: usize,
    samples: u32,
    threshold: f64,
    depth: usize,
    metadata: &'a [u8],
    sizes: &'a [u8],
    values: &'a [u8],
    columns: &'a [u8],
}

impl<'a> Artifact<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        if bytes.len() < HEADER + TRAILER {
            return Err(Error::Length);
        }
        if bytes[..4] != MAGIC {
            return Err(Error::Magic);
        }
        if u16_at(bytes, 4) != VERSION {
            return Err(Error::Version);
        }
        let body = bytes.len() - TRAILER;
        if u32_at(bytes, body) != crc32(&bytes[..body]) {
            return Err(Error::Checksum);
        }
        let features = u16_at(bytes, 6) as usize;
        let samples = u32_at(bytes, 8);
        let trees = u32_at(bytes, 12) as usize;
        let nodes = u32_at(bytes, 16) as usize;
        let metadata_len = u32_at(bytes, 20) as usize;
        let threshold = f64::from_bits(u64::from(u32_at(bytes, 24)) | u64::from(u32_at(bytes, 28)) << 32);
        let counts_fit = (1..=MAX_FEATURES).contains(&features)
            && (2..=1 << 24).contains(&samples)
            && (1..=MAX_TREES).contains(&trees)
            && (trees..=MAX_NODES).contains(&nodes)
            && (0.0..=1.0).contains(&threshold);
        if !counts_fit {
            return Err(Error::Header);
        }
        // No overflow: each term is below 2^24 but the metadata, which is compared first.
        if metadata_len > body {
            return Err(Error::Length);
        }
        let mut rest = &bytes[HEADER..body];
        let metadata = take(&mut rest, metadata_len)?;
        let sizes = take(&mut rest, trees * 2)?;
        let values = take(&mut rest, nodes * 4)?;
        let columns = take(&mut rest, nodes)?;
        if !rest.is_empty() {
            return Err(Error::Length);
        }
        let mut artifact = Artifact { features, trees, samples, threshold, depth: 0, metadata, sizes, values, columns };
        artifact.depth = artifact.check_trees(nodes)?;
        Ok(artifact)
    }

    pub fn features(&self) -> usize {
        self.features
    }

    pub fn trees(&self) -> usize {
        self.trees
    }

    /// The size of each tree's training sub-sample (psi in the paper).
    pub fn samples(&self) -> u32 {
        self.samples
    }

    /// Scores from here up are unusual.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Of the deepest tree; a lone leaf has depth 0.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// JSON that only the host reads.
    pub fn metadata(&self) -> &'a [u8] {
        self.metadata
    }

    pub fn tree_size(&self, tree: usize) -> usize {
        u16_at(self.sizes, tree * 2) as usize
    }

    /// The node at `index` among all nodes of all trees.
    pub fn node(&self, index: usize) -> Node {
        let value = f32::from_bits(u32_at(self.values, index * 4));
        match self.columns[index] {
            LEAF => Node::Leaf { path: value },
            feature => Node::Split { feature, threshold: value },
        }
    }

    /// Checks every node and returns the greatest depth.
    fn check_trees(&self, nodes: usize) -> Result<usize, Error> {
        let mut first = 0;
        let mut deepest = 0;
        for tree in 0..self.trees {
            let size = self.tree_size(tree);
            if size == 0 || size > nodes - first {
                return Err(Error::Header);
            }
            deepest = deepest.max(self.check_tree(first, size)?);
            first += size;
        }
        if first == nodes {
            Ok(deepest)
        } else {
            Err(Error::Header)
        }
    }

    /// Nodes stand breadth first, so the kinds of the nodes alone give the shape of the tree: the two children of the n-th split
    /// are nodes 2n + 1 and 2n + 2. There are no pointers to be wrong; only the count can be, and the depth too great.
    fn check_tree(&self, first: usize, size: usize) -> Result<usize, Error> {
        let mut depth = 0;
        let (mut level_start, mut level_end) = (0, 1);
        loop {
            let mut next = level_end;
            for index in level_start..level_end {
                let sound = match self.node(first + index) {
                    Node::Leaf { path } => path.is_finite() && path >= 0.0,
                    Node::Split { feature, threshold } => {
                        next += 2;
                        (feature as usize) < self.features && threshold.is_finite() && next <= size
                    }
                };
                if !sound {
                    return Err(Error::Node);
                }
            }
            if next == level_end {
                return if level_end == size { Ok(depth) } else { Err(Error::Node) };
            }
            depth += 1;
            if depth > MAX_DEPTH {
                return Err(Error::Depth);
            }
            (level_start, level_end) = (level_end, next);
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Error> {
    let (head, tail) = rest.split_at_checked(length).ok_or(Error::Length)?;
    *rest = tail;
    Ok(head)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
