// "The same in PyTorch": a cell that trains what the page trains.

const CODE = {
  none: {},
  mean: { cost: "cost = cost.mean(1)  # broken on purpose: a mean over pixels" },
  nokl: { weight: "0  # broken on purpose: no KL" },
  nosample: { z: "mu  # broken on purpose: no draw" },
  onedraw: {
    z: "mu + (0.5 * logvar).exp() * torch.randn(1, Z)  # broken on purpose: one draw for all",
  },
  explogvar: {
    z: "mu + logvar.exp() * torch.randn_like(mu)  # broken on purpose: logvar taken for log sigma",
  },
};

export function asPyTorch({ data, z, beta, rate, batch, fault, seed, sigma }, hidden, steps) {
  const broken = CODE[fault];
  const digits = data === "digits";
  const load = digits
    ? `from sklearn.datasets import load_digits

x_all = torch.tensor(load_digits().data, dtype=torch.float32) / 16
x_all = x_all[torch.randperm(len(x_all), generator=torch.Generator().manual_seed(0))]
x_train, x_test = x_all[:1500], x_all[1500:]`
    : `angle = 2 * math.pi * torch.rand(2000)
ring = torch.stack([angle.cos(), angle.sin()], 1)
x_all = ring * (1 + 0.05 * torch.randn(2000, 1))
x_train, x_test = x_all[:1500], x_all[1500:]`;
  const cost = digits
    ? `nn.functional.binary_cross_entropy_with_logits(out, x, reduction="none")`
    : `0.5 * ((x - out) / SIGMA) ** 2 + math.log(SIGMA) + 0.5 * math.log(2 * math.pi)`;
  return `import math

import torch
from torch import nn

Z, BETA, RATE, BATCH, HIDDEN, STEPS = ${z}, ${beta}, ${rate}, ${batch}, ${hidden}, ${steps}
${digits ? "" : `SIGMA = ${sigma}\n`}torch.manual_seed(${seed})
${load}
D = x_train.shape[1]

encoder = nn.Sequential(nn.Linear(D, HIDDEN), nn.ReLU())
to_mu, to_logvar = nn.Linear(HIDDEN, Z), nn.Linear(HIDDEN, Z)
decoder = nn.Sequential(nn.Linear(Z, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, D))
parts = nn.ModuleList([encoder, to_mu, to_logvar, decoder])
optimizer = torch.optim.Adam(parts.parameters(), lr=RATE)


def terms(x):
    """(B, D) -> reconstruction and KL, (B,) each, in nats (unless broken on purpose)."""
    hidden = encoder(x)
    mu, logvar = to_mu(hidden), to_logvar(hidden)
    z = ${broken.z ?? "mu + (0.5 * logvar).exp() * torch.randn_like(mu)"}
    out = decoder(z)
    cost = ${cost}
    ${broken.cost ?? "cost = cost.sum(1)"}
    return cost, 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)


for step in range(STEPS):
    x = x_train[torch.randint(len(x_train), (BATCH,))]
    cost, kl = terms(x)
    loss = (cost + ${broken.weight ? "0 * kl" : "BETA * kl"}).mean()${broken.weight ? "  # broken on purpose: no KL" : ""}
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
with torch.no_grad():
    cost, kl = terms(x_test)
print(f"reconstruction {cost.mean():.2f}, KL {kl.mean():.2f} nats")
`;
}
