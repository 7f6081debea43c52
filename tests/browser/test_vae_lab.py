"""The VAE Lab in a browser without a network: its numbers, its controls, its words."""

import build_lab
import pytest
import torch
from torch import nn

FAULTS = ["none", "mean", "nokl", "nosample", "onedraw", "explogvar"]
SIZES = {"bernoulli": 12, "gaussian": 2}
BATCH, LATENTS, HIDDEN, STEPS, RATE, SIGMA, BETA = 5, 3, 7, 3, 0.01, 0.3, 2.5
# Three steps of a small model, from inputs, noises and weights that Python gave.
STEP = """([kind, size, weights, xs, noises, options, sizes]) => {
  const { VAE, Random } = window.vaeLab, [batch, latents, hidden, sigma, rate] = sizes;
  const vae = new VAE(size, latents, hidden, kind, new Random(0), sigma);
  vae.parameters.forEach((p, i) => p.set(weights[i]));
  const gradients = [], terms = [];
  xs.forEach((x, i) => {
    terms.push(vae.backward(Float32Array.from(x), Float32Array.from(noises[i]), batch, options));
    gradients.push(vae.gradients.map(g => [...g]));
    vae.update(rate);
  });
  return { gradients, terms, weights: vae.parameters.map(p => [...p]) };
}"""
# Train as the page does, without its pictures: terms on the test set after some steps.
TRAIN = """([changes, steps]) => {
  const { VAE, Random, DATA, settings } = window.vaeLab;
  const s = { ...settings, z: 2, beta: 1, fault: "none", batch: 32, rate: 0.003, ...changes };
  const { train, test, size } = DATA.digits, random = new Random(s.seed);
  const vae = new VAE(size, s.z, 64, "bernoulli", random);
  const x = new Float32Array(s.batch * size), found = [];
  for (const [count, beta] of steps) {
    for (let k = 0; k < count; k++) {
      for (let b = 0; b < s.batch; b++) {
        const i = random.below(train.length / size);
        x.set(train.subarray(i * size, (i + 1) * size), b * size);
      }
      vae.backward(x, random.normals(s.batch * s.z), s.batch, { ...s, beta: beta ?? s.beta });
      vae.update(s.rate);
    }
    const few = test.length / size, seen = vae.measure(test, few, new Random(1));
    const evidence = vae.minusLogEvidence(test, 40, 100, new Random(2));
    const far = seen.mu.reduce((a, m) => Math.max(a, Math.abs(m)), 0);
    found.push({ rec: seen.reconstruction, kl: seen.kl, sum: seen.minusElbo, far,
                 each: [...seen.each], evidence,
                 gap: vae.measure(test, 40, new Random(3)).minusElbo - evidence });
  }
  return found;
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    file = tmp_path_factory.mktemp("lab") / "lab.html"
    file.write_text(build_lab.page(), encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def lab(page, address):
    """The page, opened from the disk; it may ask for nothing and must throw nothing."""
    page.asked, page.errors = [], []
    page.route(
        "http*://**",
        lambda route: (page.asked.append(route.request.url), route.abort()),
    )
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.goto(address)
    yield page
    assert (page.asked, page.errors) == ([], [])


def _networks(size):
    torch.manual_seed(0)
    return nn.ModuleList(
        [
            nn.Linear(size, HIDDEN),
            nn.Linear(HIDDEN, LATENTS),
            nn.Linear(HIDDEN, LATENTS),
            nn.Linear(LATENTS, HIDDEN),
            nn.Linear(HIDDEN, size),
        ]
    )


def _loss(parts, kind, x, noise, fault):
    """What a learner would write, with one fault; and the true terms, all from PyTorch."""
    encoder, to_mu, to_logvar, decoder, output = parts
    hidden = encoder(x).relu()
    mu, logvar = to_mu(hidden), to_logvar(hidden)
    sigma = logvar.exp() if fault == "explogvar" else (0.5 * logvar).exp()
    sigma = torch.zeros_like(sigma) if fault == "nosample" else sigma
    eps = noise[:1].expand_as(noise) if fault == "onedraw" else noise
    out = output(decoder(mu + sigma * eps).relu())
    if kind == "bernoulli":
        cost = nn.functional.binary_cross_entropy_with_logits(out, x, reduction="none")
    else:
        cost = -torch.distributions.Normal(out, SIGMA).log_prob(x)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(mu, (0.5 * logvar).exp()),
        torch.distributions.Normal(0.0, 1.0),
    ).sum(1)
    trained = cost.mean(1) if fault == "mean" else cost.sum(1)
    weight = 0 if fault == "nokl" else BETA
    return (trained + weight * kl).mean(), cost.sum(1).mean(), kl.mean()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", SIZES)
def test_three_steps_are_those_of_pytorch(lab, kind, fault):
    size = SIZES[kind]
    parts = _networks(size)
    xs = [torch.rand(BATCH, size) for _ in range(STEPS)]
    noises = [torch.randn(BATCH, LATENTS) for _ in range(STEPS)]
    weights = [p.detach().flatten().tolist() for p in parts.parameters()]
    inputs, draws = ([t.flatten().tolist() for t in many] for many in (xs, noises))
    options = {"beta": BETA, "fault": fault}
    sizes = [BATCH, LATENTS, HIDDEN, SIGMA, RATE]
    ours = lab.evaluate(STEP, [kind, size, weights, inputs, draws, options, sizes])
    optimizer = torch.optim.Adam(parts.parameters(), lr=RATE)
    for k, (x, noise) in enumerate(zip(xs, noises, strict=True)):
        loss, cost, kl = _loss(parts, kind, x, noise, fault)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert ours["terms"][k]["reconstruction"] == pytest.approx(
            cost.item(), rel=1e-5
        )
        assert ours["terms"][k]["kl"] == pytest.approx(kl.item(), rel=1e-5)
        for mine, p in zip(ours["gradients"][k], parts.parameters(), strict=True):
            true = p.grad.flatten()
            assert torch.allclose(torch.tensor(mine), true, rtol=1e-5, atol=1e-5)
    for mine, p in zip(ours["weights"], parts.parameters(), strict=True):
        assert torch.allclose(torch.tensor(mine), p.detach().flatten(), atol=1e-5)


def test_the_estimate_of_the_evidence_is_right_where_it_is_known(lab):
    """A decoder that ignores z: every weight is the same up to the prior over q."""
    value = lab.evaluate(
        """() => {
          const { VAE, Random } = window.vaeLab, vae = new VAE(2, 2, 4, "gaussian", new Random(1), 0.5);
          vae.layers.decoder.weight.fill(0); vae.layers.output.weight.fill(0);
          vae.layers.output.bias.set([0.3, -0.2]);
          return vae.minusLogEvidence(Float32Array.from([1, 0]), 1, 20000, new Random(2));
        }"""
    )
    density = torch.distributions.Normal(torch.tensor([0.3, -0.2]), 0.5)
    exact = -density.log_prob(torch.tensor([1.0, 0.0])).sum().item()
    assert value == pytest.approx(exact, abs=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_what_the_cards_say_happens(lab, seed):
    def train(*steps, **changes):
        found = lab.evaluate(
            TRAIN, [{"seed": seed, **changes}, steps or [[1500, None]]]
        )
        return found if len(found) > 1 else found[0]

    begin, middle = train([100, None], [1400, None])
    assert begin["kl"] < 0.5 < middle["kl"] and middle["sum"] < begin["sum"]
    assert -0.05 < middle["gap"] < 2  # an upper bound on -log p(x), with its noise
    bare = train(fault="nokl")
    assert bare["rec"] < middle["rec"] and bare["kl"] > 5 * middle["kl"]
    assert bare["far"] > 2 * middle["far"]
    cheap, dear = train(beta=0.25), train(beta=2)
    assert cheap["kl"] > middle["kl"] > dear["kl"]
    assert cheap["rec"] < middle["rec"] < dear["rec"]
    assert middle["sum"] < min(cheap["sum"], dear["sum"])
    collapsed, back = train([1500, None], [2500, 1], beta=8)
    assert collapsed["kl"] < 0.05 < 1 < back["kl"]
    assert train(fault="mean")["kl"] < 0.05
    still = train(fault="nosample")
    assert still["kl"] < middle["kl"] and still["rec"] > 1.2 * middle["rec"]
    assert train(fault="onedraw")["kl"] > 0.5
    many = train(z=8)
    assert min(many["each"]) < 0.1 < 0.5 < max(many["each"])


def test_training_starts_pauses_and_shows_its_numbers(lab):
    assert lab.inner_text("#n-steps") == "0"
    lab.click("#step")
    assert lab.inner_text("#n-steps") == "1"
    first = float(lab.inner_text("#n-elbo"))
    lab.click("#run")
    lab.wait_for_function("() => window.vaeLab.now().steps > 300")
    lab.click("#run")
    assert lab.inner_text("#run") == "Train"
    steps = lab.inner_text("#n-steps")
    lab.wait_for_timeout(300)
    assert lab.inner_text("#n-steps") == steps
    assert float(lab.inner_text("#n-elbo")) < first
    lab.click("#again")
    assert lab.inner_text("#n-steps") == "0"


def test_every_setting_lives_in_the_address(lab, address):
    lab.select_option("#z", "4")
    lab.select_option("#fault", "mean")
    lab.focus("#beta")
    lab.keyboard.press("End")
    assert lab.inner_text("#beta-out") == "32"
    lab.goto("about:blank")
    lab.goto(f"{address}#z=4&fault=mean&beta=32&seed=3&rate=x&batch=7&data=cats")
    chosen = lab.evaluate("() => window.vaeLab.settings")
    assert (chosen["z"], chosen["fault"], chosen["beta"]) == (4, "mean", 32)
    # What is no setting gets its start.
    assert (chosen["rate"], chosen["batch"], chosen["data"]) == (0.003, 32, "digits")
    assert lab.input_value("#seed") == "3"


def test_all_controls_work_by_keyboard(lab):
    """Tab reaches each of them, and it has a name."""
    names = []
    lab.focus("#card")
    for _ in range(40):
        names.append(lab.evaluate("() => document.activeElement.id || ''"))
        lab.keyboard.press("Tab")
    wanted = {"card", "run", "step", "again", "speed", "data", "z", "beta", "rate"}
    wanted |= {"batch", "fault", "seed", "link", "code", "c1", "c2", "redraw", "own"}
    assert wanted <= set(names), wanted - set(names)
    before = lab.evaluate("() => document.getElementById('decoded').toDataURL()")
    lab.focus("#c1")
    lab.keyboard.press("Home")
    lab.wait_for_timeout(100)
    assert before != lab.evaluate(
        "() => document.getElementById('decoded').toDataURL()"
    )
    lab.focus("#own")
    for key in (" ", "ArrowDown", " ", "ArrowDown", " "):
        lab.keyboard.press(key)
    lab.wait_for_timeout(300)
    assert "nats" in lab.inner_text("#own-words")


def test_a_code_can_be_dragged(lab):
    plane = lab.locator("#plane")
    plane.scroll_into_view_if_needed()
    box = plane.bounding_box()
    lab.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    lab.mouse.down()
    lab.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.25 * box["height"])
    lab.mouse.up()
    lab.wait_for_timeout(100)
    assert abs(float(lab.inner_text("#c1-out")) - 1.75) < 0.1
    assert abs(float(lab.inner_text("#c2-out")) - 1.75) < 0.1


def test_a_training_that_diverges_says_so(lab):
    lab.evaluate("() => { window.vaeLab.now().parameters[0][0] = Infinity; }")
    lab.click("#run")
    lab.wait_for_function("() => document.getElementById('said').textContent")
    assert "diverged" in lab.inner_text("#said") and lab.inner_text("#run") == "Train"
    lab.click("#again")
    assert lab.inner_text("#said") == ""


@pytest.mark.parametrize("data", ["digits", "ring"])
def test_one_to_eight_latents_and_both_kinds_of_data_are_shown(lab, data):
    lab.select_option("#data", data)
    for z in ("1", "2", "8"):
        lab.select_option("#z", z)
        lab.click("#step")
        assert lab.inner_text("#n-steps") == "1"
    assert lab.is_visible("#own-part") == (data == "digits")
    assert lab.is_visible("#sigma-row") == (data == "ring")


@pytest.mark.parametrize("data", ["digits", "ring"])
def test_the_exported_cells_run(lab, data, capsys):
    for fault in FAULTS:
        source = lab.evaluate(
            "([data, fault]) => window.vaeLab.asPyTorch("
            "{ ...window.vaeLab.settings, data, fault }, 16, 3)",
            [data, fault],
        )
        with torch.random.fork_rng():
            exec(compile(source, fault, "exec"), {})  # noqa: S102 - our own page
        assert capsys.readouterr().out.startswith("reconstruction "), fault


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_and_axe_finds_nothing(page, address, theme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=theme)
    page.goto(f"{address}#card=2")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    result = axe.Axe().run(page)
    assert result.violations_count == 0, result.generate_report()
