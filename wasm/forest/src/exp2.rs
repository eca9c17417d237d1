/// `2^-x` for `x >= 0`, by Taylor's series of `e^(f ln 2)` on `f` in [-0.5, 0.5]; own code because `core` has none, and so that
/// every engine and target gives the same bits. Relative error below 1e-15; 0 from x = 1023.
pub fn exp2_neg(x: f64) -> f64 {
    if x >= 1022.0 {
        return 0.0;
    }
    let whole = (x + 0.5) as i64;
    let t = -(x - whole as f64) * core::f64::consts::LN_2;
    let mut sum = 1.0;
    let mut n = 14;
    while n > 0 {
        sum = 1.0 + sum * t / n as f64;
        n -= 1;
    }
    sum * f64::from_bits(((1023 - whole) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::exp2_neg;
    extern crate std;

    #[test]
    fn agrees_with_the_standard_library() {
        for i in 0..100_000 {
            let x = f64::from(i) * 0.0007;
            let (ours, theirs) = (exp2_neg(x), (-x).exp2());
            assert!((ours / theirs - 1.0).abs() < 1e-15, "2^-{x}: {ours} against {theirs}");
        }
        assert_eq!(exp2_neg(0.0), 1.0);
        assert_eq!(exp2_neg(1.0), 0.5);
        assert_eq!(exp2_neg(5000.0), 0.0);
    }
}
