// Eight things to try, five minutes each. `set` is what differs from the start.

export const CARDS = [
  {
    title: "A VAE in a minute",
    set: {},
    look: "Train for about 2,000 steps. The reconstruction falls at once; the KL climbs from 0, because the codes begin to say which digit it is. Their sum is what falls.",
    ask: "When the KL is 0, what can the decoder know of the digit?",
    answer: "Nothing. A KL of 0 means that q(z | x) is the prior for every x. The decoder then draws its best guess for all digits at once, a blob.",
  },
  {
    title: "Without the KL: an autoencoder that trembles",
    set: { fault: "nokl" },
    look: "Train as long as before. The reconstruction is lower, and the KL, which nobody pays for now, grows and grows: the codes spread over a plane much wider than the circle of the prior. Look at the draws.",
    ask: "Why are draws from the prior worse than the reconstructions?",
    answer: "The codes that the decoder has learned lie far apart, most of them outside of where the prior draws. The prior was never part of this training.",
  },
  {
    title: "What beta buys",
    set: { beta: 2 },
    look: "Compare with beta = 1 and 0.25, each from a fresh start: the bars under the plane are nats of each latent. A larger weight makes information dearer, and the model buys less of it.",
    ask: "Which of the two terms rises with beta, and which falls?",
    answer: "The KL falls, the reconstruction error rises. With the weight at 1 their sum is a bound on -log p(x); the sum of reconstruction and KL is higher elsewhere.",
  },
  {
    title: "Posterior collapse",
    set: { beta: 8 },
    look: "The KL stays near 0. All codes lie on one spot, all spreads are 1, and every reconstruction is the same picture.",
    ask: "Is the training stuck, or is this what the loss asks for?",
    answer: "It is what the loss asks for: at this price a nat of information costs more than it saves. Lower beta while it runs, and the codes come back.",
  },
  {
    title: "The famous mistake: a mean over pixels",
    set: { fault: "mean" },
    look: "The code divides the reconstruction by the number of pixels, and the KL not. The picture is that of a very large beta.",
    ask: "64 pixels: which beta does this training use?",
    answer: "64. Dividing one term by 64 is the same as multiplying the other by 64 and the learning rate by 1/64, which Adam hardly notices.",
  },
  {
    title: "No draw: the mean is decoded",
    set: { fault: "nosample" },
    look: "The decoder never sees noise in training, so the spreads are free: the KL pulls every one of them to 1. The terms on the left are measured with draws, as they must be.",
    ask: "The loss that this training sees looks good. What does it leave out?",
    answer: "That the code is fuzzy. With a spread of 1 the measured reconstruction is bad: the decoder learned codes without noise and gets codes with it.",
  },
  {
    title: "One draw for the whole batch",
    set: { fault: "onedraw" },
    look: "Every example of a batch gets the same noise. It trains, the gradient is right on average, and only noisier. Compare the loss curves.",
    ask: "How would you find this mistake in code that runs?",
    answer: "By the shape of the noise: torch.randn(1, Z) in place of torch.randn_like(mu). No curve proves it; a test that looks at two examples of a batch does.",
  },
  {
    title: "More latents than needed",
    set: { z: 8 },
    look: "Look at the bars: not every latent has to carry something. The gap to log p(x) is what the encoder's simple guess costs.",
    ask: "Does a latent with a KL of 0 do harm?",
    answer: "Not to the bound: it costs nothing, and the decoder learns to ignore it.",
  },
];
