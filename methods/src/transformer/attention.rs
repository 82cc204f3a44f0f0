//! Causal attention over sequences that lie one after the other (Vaswani et al., "Attention is all you need", NeurIPS 2017).

use endcap_kernels::dot::{axpy, dot};

/// Where a token's query, key and value lie in its row of 3 x dim numbers.
#[derive(Clone, Copy)]
pub(super) struct Heads {
    pub dim: usize,
    pub heads: usize,
}

impl Heads {
    fn width(self) -> usize {
        self.dim / self.heads
    }

    /// Part `which` (0 query, 1 key, 2 value) of a head of a token.
    fn part(self, qkv: &[f32], token: usize, which: usize, head: usize) -> &[f32] {
        let from = token * 3 * self.dim + which * self.dim + head * self.width();
        qkv.get(from..from + self.width()).unwrap_or_default()
    }

    fn part_mut(self, qkv: &mut [f32], token: usize, which: usize, head: usize) -> &mut [f32] {
        let from = token * 3 * self.dim + which * self.dim + head * self.width();
        qkv.get_mut(from..from + self.width()).unwrap_or_default()
    }

    fn scale(self) -> f32 {
        1.0 / (self.width() as f32).sqrt()
    }

    /// The context of every token, and the attention's shares: for each sequence, head and token those of the tokens up to it.
    pub(super) fn forward(self, qkv: &[f32], lengths: &[usize]) -> (Vec<f32>, Vec<f32>) {
        let mut context = vec![0.0; qkv.len() / 3];
        let mut shares = Vec::new();
        let mut first = 0;
        for length in lengths {
            for head in 0..self.heads {
                for at in 0..*length {
                    let query = self.part(qkv, first + at, 0, head);
                    let from = shares.len();
                    shares.extend((0..=at).map(|to| self.scale() * dot(query, self.part(qkv, first + to, 1, head))));
                    let own = shares.get_mut(from..).unwrap_or_default();
                    softmax(own);
                    let place = (first + at) * self.dim + head * self.width();
                    let out = context.get_mut(place..place + self.width()).unwrap_or_default();
                    for (to, share) in own.iter().enumerate() {
                        axpy(*share, self.part(qkv, first + to, 2, head), out);
                    }
                }
            }
            first += length;
        }
        (context, shares)
    }

    /// The gradient of `qkv` from that of the context.
    pub(super) fn backward(self, qkv: &[f32], lengths: &[usize], shares: &[f32], d_context: &[f32]) -> Vec<f32> {
        let mut d_qkv = vec![0.0; qkv.len()];
        let mut left = shares;
        let mut first = 0;
        let mut d_shares = Vec::new();
        for length in lengths {
            for head in 0..self.heads {
                for at in 0..*length {
                    let (own, rest) = left.split_at((at + 1).min(left.len()));
                    left = rest;
                    let place = (first + at) * self.dim + head * self.width();
                    let d_out = d_context.get(place..place + self.width()).unwrap_or_default();
                    d_shares.clear();
                    for (to, share) in own.iter().enumerate() {
                        d_shares.push(dot(d_out, self.part(qkv, first + to, 2, head)));
                        axpy(*share, d_out, self.part_mut(&mut d_qkv, first + to, 2, head));
                    }
                    let mean = dot(own, &d_shares);
                    for (to, (share, d_share)) in own.iter().zip(&d_shares).enumerate() {
                        let d_logit = share * (d_share - mean) * self.scale();
                        axpy(
                            d_logit,
                            self.part(qkv, first + to, 1, head),
                            self.part_mut(&mut d_qkv, first + at, 0, head),
                        );
                        axpy(
                            d_logit,
                            self.part(qkv, first + at, 0, head),
                            self.part_mut(&mut d_qkv, first + to, 1, head),
                        );
                    }
                }
            }
            first += length;
        }
        d_qkv
    }
}

fn softmax(logits: &mut [f32]) {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for logit in logits.iter_mut() {
        *logit = (*logit - highest).exp();
        sum += *logit;
    }
    for logit in logits.iter_mut() {
        *logit /= sum;
    }
}
