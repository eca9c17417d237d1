use crate::{exp2_neg, Artifact, Error, Node};
use alloc::vec::Vec;

/// What one model's tables may take: a tree of depth 8 takes 3 KiB, so this is far more than real forests need.
pub const MAX_TABLE_BYTES: usize = 8 << 20;

/// Rows that walk a tree together: their walks do not depend on one another, so the processor overlaps their loads.
const LANES: usize = 8;
/// Rows that pass through all trees before the next rows do: their sums stay in the first-level cache.
const BLOCK: usize = 256;

/// A split in the table. `x <= threshold` is never asked: `x > threshold` sends NaN left, so that every walk stays inside.
#[derive(Clone, Copy)]
struct Split {
    threshold: f32,
    feature: u32,
}

/// A forest laid out for speed: every tree is a complete binary tree of the same depth in heap order (the children of `i` are
/// `2i` and `2i + 1`, the root is 1), so a walk is `depth` equal steps without a branch or a child pointer. Below a shallow
/// leaf stand splits at infinity, which lead left to a copy of the leaf.
pub struct Forest {
    features: usize,
    depth: usize,
    trees: usize,
    threshold: f64,
    /// `trees x 2^depth`; slot 0 of each tree is unused.
    splits: Vec<Split>,
    /// `trees x 2^depth` path lengths.
    leaves: Vec<f32>,
    /// trees x c(psi), the denominator of the mean depth.
    normalizer: f64,
}

impl Forest {
    pub fn new(artifact: &Artifact) -> Result<Self, Error> {
        let width = 1usize << artifact.depth();
        let slots = artifact.trees() * width;
        if slots * (size_of::<Split>() + size_of::<f32>()) > MAX_TABLE_BYTES {
            return Err(Error::Memory);
        }
        let mut splits = Vec::new();
        let mut leaves = Vec::new();
        splits.try_reserve_exact(slots).map_err(|_| Error::Memory)?;
        leaves.try_reserve_exact(slots).map_err(|_| Error::Memory)?;
        splits.resize(slots, Split { threshold: f32::INFINITY, feature: 0 });
        leaves.resize(slots, 0.0);
        let mut places = Vec::new();
        places.try_reserve_exact(2 * width).map_err(|_| Error::Memory)?;
        let mut first = 0;
        for tree in 0..artifact.trees() {
            let range = tree * width..(tree + 1) * width;
            let size = artifact.tree_size(tree);
            lay_out(artifact, first, size, &mut places, &mut splits[range.clone()], &mut leaves[range]);
            first += size;
        }
        Ok(Forest {
            features: artifact.features(),
            depth: artifact.depth(),
            trees: artifact.trees(),
            threshold: artifact.threshold(),
            splits,
            leaves,
            normalizer: artifact.trees() as f64 * average_path_length(artifact.samples()),
        })
    }

    pub fn features(&self) -> usize {
        self.features
    }

    pub fn trees(&self) -> usize {
        self.trees
    }

    /// Scores from here up are unusual.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Scores row-major `rows` into `scores`: 2^(-E[h(x)] / c(psi)), in (0, 1], higher is more unusual, which is
    /// `-score_samples` of scikit-learn. A row with NaN scores NaN; infinities compare as such.
    pub fn score(&self, rows: &[f32], scores: &mut [f32]) -> Result<(), Error> {
        if scores.len().checked_mul(self.features) != Some(rows.len()) {
            return Err(Error::Shape);
        }
        let blocks = rows.chunks(BLOCK * self.features).zip(scores.chunks_mut(BLOCK));
        for (rows, scores) in blocks {
            self.score_block(rows, scores);
        }
        Ok(())
    }

    fn score_block(&self, rows: &[f32], scores: &mut [f32]) {
        let d = self.features;
        let mut sums = [0f64; BLOCK];
        let width = 1usize << self.depth;
        for (splits, leaves) in self.splits.chunks_exact(width).zip(self.leaves.chunks_exact(width)) {
            let mut groups = rows.chunks_exact(LANES * d);
            let mut sums = sums.chunks_exact_mut(LANES);
            for (group, sums) in groups.by_ref().zip(sums.by_ref()) {
                // SAFETY: `group` holds LANES rows of d values.
                let paths = unsafe { self.walk::<LANES>(splits, leaves, group) };
                for (sum, path) in sums.iter_mut().zip(paths) {
                    *sum += f64::from(path);
                }
            }
            // The last, short group: its sums are the next chunk, since BLOCK is a multiple of LANES.
            if let Some(sums) = sums.next() {
                for (row, sum) in groups.remainder().chunks_exact(d).zip(sums) {
                    // SAFETY: `row` holds one row of d values.
                    let [path] = unsafe { self.walk::<1>(splits, leaves, row) };
                    *sum += f64::from(path);
                }
            }
        }
        for ((row, score), sum) in rows.chunks_exact(d).zip(scores.iter_mut()).zip(sums) {
            let missing = row.iter().any(|x| x.is_nan());
            *score = if missing { f32::NAN } else { exp2_neg(sum / self.normalizer) as f32 };
        }
    }

    /// The path lengths of N rows in one tree.
    ///
    /// # Safety
    /// `splits` and `leaves` are one tree's 2^depth slots, and `rows` holds N rows of `features` values. Then every index is in
    /// bounds: `at` has k + 1 bits after k steps, and every `feature` was below `features` when the artifact was checked.
    #[inline(always)]
    unsafe fn walk<const N: usize>(&self, splits: &[Split], leaves: &[f32], rows: &[f32]) -> [f32; N] {
        let mut at = [1usize; N];
        for _ in 0..self.depth {
            for (lane, at) in at.iter_mut().enumerate() {
                let split = splits.get_unchecked(*at);
                let x = *rows.get_unchecked(lane * self.features + split.feature as usize);
                *at = 2 * *at + usize::from(x > split.threshold);
            }
        }
        at.map(|at| *leaves.get_unchecked(at - leaves.len()))
    }
}

/// Copies one tree of the artifact, whose nodes begin at `first`, into its slots; `places` is scratch space. The children of
/// the n-th split are the nodes 2n + 1 and 2n + 2, so their places are known before they come.
fn lay_out(artifact: &Artifact, first: usize, size: usize, places: &mut Vec<u16>, splits: &mut [Split], leaves: &mut [f32]) {
    places.clear();
    places.push(1);
    for node in 0..size {
        let mut place = places[node] as usize;
        match artifact.node(first + node) {
            Node::Split { feature, threshold } => {
                splits[place] = Split { threshold, feature: u32::from(feature) };
                places.push(2 * place as u16);
                places.push(2 * place as u16 + 1);
            }
            Node::Leaf { path } => {
                // The splits below are at infinity, so the walk goes left to the bottom.
                while place < leaves.len() {
                    place *= 2;
                }
                leaves[place - leaves.len()] = path;
            }
        }
    }
}

/// c(n), the mean path length of an unsuccessful search in a binary search tree of n keys, as scikit-learn computes it:
/// `2 (ln(n - 1) + gamma) - 2 (n - 1) / n`.
pub fn average_path_length(n: u32) -> f64 {
    const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;
    match n {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => {
            let n = f64::from(n);
            2.0 * (ln(n - 1.0) + EULER_GAMMA) - 2.0 * (n - 1.0) / n
        }
    }
}

/// Natural logarithm of x >= 1, by the series of `2 artanh((m - 1) / (m + 1))` on the mantissa m; `core` has none.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let exponent = ((bits >> 52) as i64 - 1023) as f64;
    let m = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    let z = (m - 1.0) / (m + 1.0);
    let mut sum = 0.0;
    let mut n = 33;
    while n > 0 {
        sum = sum * z * z + 1.0 / n as f64;
        n -= 2;
    }
    2.0 * z * sum + exponent * core::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::{average_path_length, ln};
    extern crate std;

    #[test]
    fn the_logarithm_agrees_with_the_standard_library() {
        for i in 1..50_000 {
            let x = f64::from(i) * 1.37;
            if x >= 1.0 {
                assert!((ln(x) - x.ln()).abs() < 1e-14 * x.ln().max(1.0), "ln {x}");
            }
        }
    }

    #[test]
    fn average_path_lengths_of_the_paper() {
        assert_eq!(average_path_length(1), 0.0);
        assert_eq!(average_path_length(2), 1.0);
        assert!((average_path_length(5) - 2.327_020_052_042_847_3).abs() < 1e-12);
        assert!((average_path_length(256) - 10.244_770_920_119_917).abs() < 1e-12);
    }
}
