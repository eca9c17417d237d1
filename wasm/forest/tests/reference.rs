//! The fast layout against a naive walk of the artifact's own nodes, and hostile artifacts. Seeded: `SEED=… cargo test` replays.

use forest::{average_path_length, crc32, Artifact, Error, Forest, Node, LEAF, MAGIC, MAX_DEPTH};

/// xorshift64*: enough for tests, and no dependency.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// A small set of values, so that rows often equal thresholds exactly, with the extremes in it.
    fn value(&mut self) -> f32 {
        const EXTREMES: [f32; 6] = [0.0, -0.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-45];
        match self.below(10) {
            0 => EXTREMES[self.below(EXTREMES.len())],
            _ => self.below(33) as f32 * 0.25 - 4.0,
        }
    }
}

fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_011);
    println!("SEED={seed}");
    seed
}

struct Plan {
    features: usize,
    samples: u32,
    trees: Vec<Vec<(u8, f32)>>,
}

fn plan(random: &mut Random) -> Plan {
    let features = 1 + random.below(9);
    let trees = (0..1 + random.below(12)).map(|_| tree(random, features)).collect();
    Plan { features, samples: 2 + random.below(5000) as u32, trees }
}

/// Nodes breadth first, each level split at random.
fn tree(random: &mut Random, features: usize) -> Vec<(u8, f32)> {
    let mut nodes = Vec::new();
    let deepest = random.below(MAX_DEPTH + 1);
    let mut level = 1;
    for depth in 0.. {
        let mut next = 0;
        for _ in 0..level {
            if depth < deepest && next < 60 && random.below(5) > 0 {
                nodes.push((random.below(features) as u8, random.value()));
                next += 2;
            } else {
                nodes.push((LEAF, depth as f32 + random.below(800) as f32 / 100.0));
            }
        }
        if next == 0 {
            return nodes;
        }
        level = next;
    }
    unreachable!()
}

fn encode(plan: &Plan) -> Vec<u8> {
    let nodes: Vec<_> = plan.trees.iter().flatten().collect();
    let metadata = b"{}";
    let mut bytes = MAGIC.to_vec();
    bytes.extend(1u16.to_le_bytes());
    bytes.extend((plan.features as u16).to_le_bytes());
    bytes.extend(plan.samples.to_le_bytes());
    bytes.extend((plan.trees.len() as u32).to_le_bytes());
    bytes.extend((nodes.len() as u32).to_le_bytes());
    bytes.extend((metadata.len() as u32).to_le_bytes());
    bytes.extend(0.6f64.to_le_bytes());
    bytes.extend(metadata);
    plan.trees.iter().for_each(|tree| bytes.extend((tree.len() as u16).to_le_bytes()));
    nodes.iter().for_each(|(_, value)| bytes.extend(value.to_le_bytes()));
    nodes.iter().for_each(|(column, _)| bytes.push(*column));
    bytes.extend(crc32(&bytes).to_le_bytes());
    bytes
}

fn reseal(bytes: &mut [u8]) {
    let body = bytes.len() - 4;
    let sum = crc32(&bytes[..body]);
    bytes[body..].copy_from_slice(&sum.to_le_bytes());
}

/// Straight from the definition, on the artifact's own nodes.
fn naive(artifact: &Artifact, row: &[f32]) -> f64 {
    let mut first = 0;
    let mut sum = 0.0;
    for tree in 0..artifact.trees() {
        let nodes: Vec<Node> = (0..artifact.tree_size(tree)).map(|node| artifact.node(first + node)).collect();
        let mut at = 0;
        sum += loop {
            match nodes[at] {
                Node::Leaf { path } => break f64::from(path),
                Node::Split { feature, threshold } => {
                    let splits_before = nodes[..at].iter().filter(|node| matches!(node, Node::Split { .. })).count();
                    at = 2 * splits_before + if row[feature as usize] <= threshold { 1 } else { 2 };
                }
            }
        };
        first += nodes.len();
    }
    (-sum / artifact.trees() as f64 / average_path_length(artifact.samples())).exp2()
}

#[test]
fn equals_the_naive_walk() {
    let mut random = Random(seed());
    for round in 0..300 {
        let plan = plan(&mut random);
        let bytes = encode(&plan);
        let artifact = Artifact::parse(&bytes).unwrap();
        let forest = Forest::new(&artifact).unwrap();
        // Around the sizes of a group and of a block.
        let n = [0, 1, 7, 8, 9, 255, 256, 257, 300][round % 9];
        let mut rows: Vec<f32> = (0..n * plan.features).map(|_| random.value()).collect();
        if n > 2 {
            rows[plan.features] = f32::INFINITY;
            rows[2 * plan.features] = f32::NEG_INFINITY;
        }
        let mut scores = vec![0.0; n];
        forest.score(&rows, &mut scores).unwrap();
        for (row, score) in rows.chunks(plan.features).zip(&scores) {
            let expected = naive(&artifact, row);
            assert!((f64::from(*score) - expected).abs() < 1e-7, "round {round}: {score} against {expected} for {row:?}");
            assert!(*score > 0.0 && *score <= 1.0);
        }
    }
}

#[test]
fn a_row_with_nan_scores_nan_and_harms_no_other() {
    let mut random = Random(seed());
    for _ in 0..50 {
        let plan = plan(&mut random);
        let bytes = encode(&plan);
        let forest = Forest::new(&Artifact::parse(&bytes).unwrap()).unwrap();
        let n = 20;
        let mut rows: Vec<f32> = (0..n * plan.features).map(|_| random.value()).collect();
        let mut clean = vec![0.0; n];
        forest.score(&rows, &mut clean).unwrap();
        let hit = random.below(n);
        rows[hit * plan.features + random.below(plan.features)] = f32::NAN;
        let mut scores = vec![0.0; n];
        forest.score(&rows, &mut scores).unwrap();
        for i in 0..n {
            assert!(if i == hit { scores[i].is_nan() } else { scores[i] == clean[i] });
        }
    }
}

#[test]
fn every_truncation_and_every_flipped_byte_is_refused() {
    let mut random = Random(seed());
    let bytes = encode(&plan(&mut random));
    for length in 0..bytes.len() {
        assert!(Artifact::parse(&bytes[..length]).is_err());
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 + random.below(255) as u8;
        assert!(Artifact::parse(&damaged).is_err(), "byte {at}");
    }
}

/// The checksum does not protect against malice: with it made right again, a changed artifact is refused or scores in bounds.
#[test]
fn no_resealed_artifact_panics_or_leaves_the_range() {
    let mut random = Random(seed());
    let (mut refused, mut scored) = (0, 0);
    for _ in 0..20_000 {
        let plan = plan(&mut random);
        let mut bytes = encode(&plan);
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] = random.next() as u8;
        }
        if random.below(4) == 0 {
            let length = random.below(bytes.len());
            bytes.truncate(length.max(8));
        }
        reseal(&mut bytes);
        let Ok(forest) = Artifact::parse(&bytes).and_then(|artifact| Forest::new(&artifact)) else {
            refused += 1;
            continue;
        };
        scored += 1;
        let rows: Vec<f32> = (0..9 * forest.features()).map(|_| random.value()).collect();
        let mut scores = [0.0; 9];
        forest.score(&rows, &mut scores).unwrap();
        assert!(scores.iter().all(|score| (0.0..=1.0).contains(score)));
    }
    assert!(refused > 1000 && scored > 1000, "the test meets both: {refused} refused, {scored} scored");
}

#[test]
fn each_refusal_has_its_own_code() {
    let leaf = |path| vec![(LEAF, path)];
    let of = |trees: Vec<Vec<(u8, f32)>>| Artifact::parse(&encode(&Plan { features: 2, samples: 256, trees })).map(|_| ()).unwrap_err();
    assert_eq!(of(vec![leaf(f32::NAN)]), Error::Node);
    assert_eq!(of(vec![leaf(-1.0)]), Error::Node);
    assert_eq!(of(vec![vec![(2, 0.0), (LEAF, 1.0), (LEAF, 1.0)]]), Error::Node, "a feature that does not exist");
    assert_eq!(of(vec![vec![(0, 0.0), (LEAF, 1.0)]]), Error::Node, "a child is missing");
    assert_eq!(of(vec![vec![(LEAF, 1.0), (LEAF, 1.0)]]), Error::Node, "a node nobody refers to");
    let mut chain: Vec<(u8, f32)> = (0..=MAX_DEPTH).flat_map(|_| [(LEAF, 1.0), (0, 0.0)]).collect();
    chain.remove(0);
    chain.extend([(LEAF, 1.0), (LEAF, 1.0)]);
    assert_eq!(of(vec![chain]), Error::Depth);

    let good = encode(&Plan { features: 2, samples: 256, trees: vec![leaf(1.0)] });
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        reseal(&mut bytes);
        Artifact::parse(&bytes).map(|_| ()).unwrap_err()
    };
    assert_eq!(with(0, 0), Error::Magic);
    assert_eq!(with(4, 2), Error::Version);
    assert_eq!(with(6, 0), Error::Header, "no features");
    assert_eq!(with(12, 0), Error::Header, "no trees");
    assert_eq!(with(22, 255), Error::Length, "metadata longer than the bytes");
    assert_eq!(Artifact::parse(&good[..10]).unwrap_err(), Error::Length);
    let mut long = good.clone();
    long.insert(40, 0);
    reseal(&mut long);
    assert_eq!(Artifact::parse(&long).unwrap_err(), Error::Length);
    let forest = Forest::new(&Artifact::parse(&good).unwrap()).unwrap();
    assert_eq!(forest.score(&[0.0; 3], &mut [0.0; 2]), Err(Error::Shape));
}

#[test]
fn tables_beyond_the_budget_are_refused() {
    // A deep tree makes every slot of every tree 2^12 wide.
    let mut deep: Vec<(u8, f32)> = (0..MAX_DEPTH).flat_map(|_| [(LEAF, 1.0), (0, 0.0)]).collect();
    deep.remove(0);
    deep.extend([(LEAF, 1.0), (LEAF, 1.0)]);
    let mut trees = vec![vec![(LEAF, 1.0)]; 1023];
    trees.push(deep);
    let bytes = encode(&Plan { features: 1, samples: 256, trees });
    assert_eq!(Forest::new(&Artifact::parse(&bytes).unwrap()).err(), Some(Error::Memory));
}
