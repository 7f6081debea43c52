// A VAE with one hidden layer on each side: forward, backward, Adam. No framework.
//
// Layout as in PyTorch: a layer's weight is (outputs, inputs), row by row, and a batch is
// (examples, values). Sums go over pixels and latents, the mean over the batch; nats.

/** Random numbers that a seed repeats: mulberry32, and Box and Muller for the bell curve. */
export class Random {
  constructor(seed) {
    this.state = seed >>> 0;
    this.spare = null;
  }

  uniform() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  normal() {
    if (this.spare !== null) {
      const spare = this.spare;
      this.spare = null;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  normals(count) {
    return Float32Array.from({ length: count }, () => this.normal());
  }

  below(count) {
    return Math.floor(this.uniform() * count);
  }
}

/** out (B, O) = x (B, I) weight (O, I) transposed + bias (O). */
function linear(x, weight, bias, out, batch, inputs, outputs) {
  for (let b = 0; b < batch; b++) {
    const row = b * inputs;
    for (let o = 0; o < outputs; o++) {
      const w = o * inputs;
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0, i = 0;
      for (; i + 3 < inputs; i += 4) {
        s0 += x[row + i] * weight[w + i];
        s1 += x[row + i + 1] * weight[w + i + 1];
        s2 += x[row + i + 2] * weight[w + i + 2];
        s3 += x[row + i + 3] * weight[w + i + 3];
      }
      for (; i < inputs; i++) s0 += x[row + i] * weight[w + i];
      out[b * outputs + o] = s0 + s1 + s2 + s3 + bias[o];
    }
  }
}

/** Gradients of a linear layer from that of its output; adds to dx where it is given. */
function linearBackward(x, weight, dout, dweight, dbias, dx, batch, inputs, outputs) {
  for (let b = 0; b < batch; b++) {
    const row = b * inputs;
    for (let o = 0; o < outputs; o++) {
      const g = dout[b * outputs + o];
      if (g === 0) continue;
      const w = o * inputs;
      dbias[o] += g;
      for (let i = 0; i < inputs; i++) dweight[w + i] += g * x[row + i];
      if (dx) for (let i = 0; i < inputs; i++) dx[row + i] += g * weight[w + i];
    }
  }
}

const relu = (values) => {
  for (let i = 0; i < values.length; i++) if (values[i] < 0) values[i] = 0;
};
const maskBy = (gradient, values) => {
  for (let i = 0; i < values.length; i++) if (values[i] <= 0) gradient[i] = 0;
};
const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
export const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** What may be broken on purpose, each with its name in an address. */
export const FAULTS = ["none", "mean", "nokl", "nosample", "onedraw", "explogvar"];
const HALF_LOG_2PI = 0.5 * Math.log(2 * Math.PI);

export class VAE {
  /**
   * @param {number} size values of an example, D
   * @param {number} latents Z
   * @param {number} hidden units of each hidden layer, H
   * @param {"bernoulli"|"gaussian"} likelihood of a value, given the decoder's output
   */
  constructor(size, latents, hidden, likelihood, random, sigma = 0.1) {
    Object.assign(this, { size, latents, hidden, likelihood, sigma });
    const shapes = {
      encoder: [hidden, size],
      mu: [latents, hidden],
      logvar: [latents, hidden],
      decoder: [hidden, latents],
      output: [size, hidden],
    };
    this.layers = {};
    for (const [name, [outputs, inputs]] of Object.entries(shapes)) {
      const bound = 1 / Math.sqrt(inputs); // PyTorch's default
      const draw = () => bound * (2 * random.uniform() - 1);
      this.layers[name] = {
        inputs,
        outputs,
        weight: Float32Array.from({ length: outputs * inputs }, draw),
        bias: Float32Array.from({ length: outputs }, draw),
      };
    }
    this.parameters = Object.values(this.layers).flatMap((l) => [l.weight, l.bias]);
    this.gradients = this.parameters.map((p) => new Float32Array(p.length));
    this.first = this.parameters.map((p) => new Float32Array(p.length));
    this.second = this.parameters.map((p) => new Float32Array(p.length));
    this.steps = 0;
  }

  apply(name, x, batch) {
    const { weight, bias, inputs, outputs } = this.layers[name];
    const out = new Float32Array(batch * outputs);
    linear(x, weight, bias, out, batch, inputs, outputs);
    return out;
  }

  /** x (B, D) -> mu and logvar (B, Z). */
  encode(x, batch) {
    const hidden = this.apply("encoder", x, batch);
    relu(hidden);
    return {
      hidden,
      mu: this.apply("mu", hidden, batch),
      logvar: this.apply("logvar", hidden, batch),
    };
  }

  /** z (B, Z) -> the decoder's output (B, D): logits of pixels, or means of values. */
  decode(z, batch) {
    const hidden = this.apply("decoder", z, batch);
    relu(hidden);
    return { hidden, output: this.apply("output", hidden, batch) };
  }

  /** z (B, Z) -> expected values (B, D): probabilities of pixels, or means. */
  expected(z, batch) {
    const { output } = this.decode(z, batch);
    return this.likelihood === "bernoulli" ? output.map(sigmoid) : output;
  }

  /** (B) nats: minus log p(x | z) of each example, from the decoder's output. */
  reconstruction(x, output, batch) {
    const cost = new Float64Array(batch), size = this.size;
    const constant = Math.log(this.sigma) + HALF_LOG_2PI;
    for (let b = 0; b < batch; b++) {
      let sum = 0;
      for (let i = b * size; i < (b + 1) * size; i++) {
        if (this.likelihood === "bernoulli") sum += softplus(output[i]) - x[i] * output[i];
        else sum += 0.5 * ((x[i] - output[i]) / this.sigma) ** 2 + constant;
      }
      cost[b] = sum;
    }
    return cost;
  }

  /** (B, Z) nats: KL(q(z | x) || N(0, 1)) of each latent. */
  kl(mu, logvar) {
    return Float64Array.from(
      mu,
      (m, i) => 0.5 * (m * m + Math.exp(logvar[i]) - 1 - logvar[i])
    );
  }

  /**
   * One batch: its mean terms in nats, and the gradients of the loss in this.gradients.
   *
   * The terms are those of the bound, whatever is broken: a fault changes what is trained,
   * not what is measured.
   *
   * @param {Float32Array} x (B, D)
   * @param {Float32Array} noise (B, Z), standard normal
   */
  backward(x, noise, batch, { beta = 1, fault = "none" } = {}) {
    const { size, latents, hidden } = this;
    const codes = this.encode(x, batch);
    const { mu, logvar } = codes;
    const spread = fault === "explogvar" ? 1 : 0.5; // sigma = exp(spread * logvar)
    const still = fault === "nosample";
    const sigma = logvar.map((v) => (still ? 0 : Math.exp(spread * v)));
    const eps = fault === "onedraw" ? noise.map((_, i) => noise[i % latents]) : noise;
    const z = mu.map((m, i) => m + sigma[i] * eps[i]);
    const decoded = this.decode(z, batch);
    const cost = this.reconstruction(x, decoded.output, batch);
    const kl = this.kl(mu, logvar);
    const total = (values) => values.reduce((a, b) => a + b, 0) / batch;

    const pixels = (fault === "mean" ? 1 / size : 1) / batch;
    const weight = (fault === "nokl" ? 0 : beta) / batch;
    const dout = new Float32Array(batch * size);
    for (let i = 0; i < dout.length; i++) {
      const o = decoded.output[i];
      dout[i] =
        pixels *
        (this.likelihood === "bernoulli"
          ? sigmoid(o) - x[i]
          : (o - x[i]) / (this.sigma * this.sigma));
    }
    this.gradients.forEach((g) => g.fill(0));
    const gradient = Object.fromEntries(
      Object.keys(this.layers).map((name, i) => [
        name,
        [this.gradients[2 * i], this.gradients[2 * i + 1]],
      ])
    );
    const back = (name, input, dout, dinput) => {
      const { weight: w, inputs, outputs } = this.layers[name];
      const [dw, db] = gradient[name];
      linearBackward(input, w, dout, dw, db, dinput, batch, inputs, outputs);
    };
    const dhidden = new Float32Array(batch * hidden), dz = new Float32Array(batch * latents);
    back("output", decoded.hidden, dout, dhidden);
    maskBy(dhidden, decoded.hidden);
    back("decoder", z, dhidden, dz);
    const dmu = dz.map((g, i) => g + weight * mu[i]);
    const dlogvar = dz.map(
      (g, i) => g * eps[i] * spread * sigma[i] + weight * 0.5 * (Math.exp(logvar[i]) - 1)
    );
    const dcodes = new Float32Array(batch * hidden);
    back("mu", codes.hidden, dmu, dcodes);
    back("logvar", codes.hidden, dlogvar, dcodes);
    maskBy(dcodes, codes.hidden);
    back("encoder", x, dcodes, null);
    return { reconstruction: total(cost), kl: total(kl) };
  }

  /** One step of Adam with the gradients at hand; defaults as PyTorch's. */
  update(rate, beta1 = 0.9, beta2 = 0.999, small = 1e-8) {
    this.steps += 1;
    const bias1 = 1 - beta1 ** this.steps, bias2 = Math.sqrt(1 - beta2 ** this.steps);
    const size = rate / bias1;
    this.parameters.forEach((p, k) => {
      const g = this.gradients[k], m = this.first[k], v = this.second[k];
      for (let i = 0; i < p.length; i++) {
        m[i] += (1 - beta1) * (g[i] - m[i]);
        v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
        p[i] -= (size * m[i]) / (Math.sqrt(v[i]) / bias2 + small);
      }
    });
  }

  /** Mean terms in nats on some examples, with one draw each, and the KL of each latent. */
  measure(x, batch, random) {
    const { mu, logvar } = this.encode(x, batch);
    const z = mu.map((m, i) => m + Math.exp(0.5 * logvar[i]) * random.normal());
    const cost = this.reconstruction(x, this.decode(z, batch).output, batch);
    const kl = this.kl(mu, logvar);
    const each = new Float64Array(this.latents);
    kl.forEach((k, i) => (each[i % this.latents] += k / batch));
    const reconstruction = cost.reduce((a, b) => a + b, 0) / batch;
    const sum = each.reduce((a, b) => a + b, 0);
    return { reconstruction, kl: sum, minusElbo: reconstruction + sum, each, mu, logvar };
  }

  /**
   * Mean of -log p(x) in nats, estimated by importance sampling with `draws` codes from q.
   * An upper bound on the truth in the mean, and below the mean of -ELBO.
   */
  minusLogEvidence(x, batch, draws, random) {
    const { mu, logvar } = this.encode(x, batch), { latents, size } = this;
    let total = 0;
    for (let b = 0; b < batch; b++) {
      const z = new Float32Array(draws * latents), log = new Float64Array(draws);
      for (let s = 0; s < draws; s++)
        for (let j = 0; j < latents; j++) {
          const i = b * latents + j, eps = random.normal();
          const code = mu[i] + Math.exp(0.5 * logvar[i]) * eps;
          z[s * latents + j] = code;
          log[s] += 0.5 * (eps * eps + logvar[i] - code * code); // log p(z) - log q(z)
        }
      const copies = new Float32Array(draws * size);
      for (let s = 0; s < draws; s++)
        copies.set(x.subarray(b * size, (b + 1) * size), s * size);
      const cost = this.reconstruction(copies, this.decode(z, draws).output, draws);
      const weights = log.map((l, s) => l - cost[s]);
      const top = weights.reduce((a, w) => Math.max(a, w), -Infinity);
      const mean = weights.reduce((a, w) => a + Math.exp(w - top), 0) / draws;
      total -= top + Math.log(mean);
    }
    return total / batch;
  }

  /** Whether every parameter is a number. */
  healthy() {
    return this.parameters.every((p) => p.every(Number.isFinite));
  }
}
