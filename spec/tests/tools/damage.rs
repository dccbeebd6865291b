//! Texts with random damage, the same in every run.

/// Makes a few changes: another byte, a missing piece, a piece twice, or one of the tokens in a random place.
pub(crate) fn damage(text: &mut Vec<u8>, tokens: &[&str], random: &mut fastrand::Rng) {
    const LONGEST: usize = 100;
    for _ in 0..=random.usize(..6) {
        let at = random.usize(..text.len());
        match random.u8(..5) {
            0 => text[at] = random.u8(..),
            1 => drop(text.drain(at..(at + random.usize(..LONGEST)).min(text.len()))),
            2 => {
                let piece = text[at..(at + random.usize(..LONGEST)).min(text.len())].to_vec();
                let to = random.usize(..text.len());
                text.splice(to..to, piece);
            }
            _ => drop(text.splice(at..at, tokens[random.usize(..tokens.len())].bytes())),
        }
        if text.is_empty() {
            text.push(b'-');
        }
    }
}
