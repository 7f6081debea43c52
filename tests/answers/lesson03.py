"""Right and wrong answers to the exercises of lesson 03, written in many ways."""

import math

import torch
import torch.distributions as td

from vae_helpers.checks import lesson03 as check

# 03.1 ---------------------------------------------------------------------------------


def kl_formula(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)


def kl_paper(mu, logvar):
    return -0.5 * torch.sum(1 + logvar - mu.pow(2) - torch.exp(logvar), dim=-1)


def kl_library(mu, logvar):
    q = td.Normal(mu, torch.exp(0.5 * logvar))
    p = td.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return td.kl_divergence(q, p).sum(1)


def kl_multivariate(mu, logvar):
    z = mu.shape[1]
    q = td.MultivariateNormal(mu, logvar.exp().diag_embed())
    p = td.MultivariateNormal(torch.zeros(z).to(mu), torch.eye(z).to(mu))
    return td.kl_divergence(q, p)


def kl_loop(mu, logvar):
    result = []
    for m, v in zip(mu, logvar, strict=True):
        total = 0.0
        for j in range(len(m)):
            total = total + 0.5 * (m[j] ** 2 + torch.exp(v[j]) - 1 - v[j])
        result.append(total)
    return torch.stack(result)


def kl_float32(mu, logvar):
    return kl_formula(mu.float(), logvar.float())


def kl_without_half(mu, logvar):
    return (mu**2 + logvar.exp() - 1 - logvar).sum(1)


def kl_everything_sum(mu, logvar):
    return -0.5 * torch.sum(1 + logvar - mu**2 - logvar.exp())


def kl_reversed(mu, logvar):
    q = td.Normal(mu, torch.exp(0.5 * logvar))
    p = td.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    return td.kl_divergence(p, q).sum(1)


def kl_logvar_is_sigma(mu, logvar):
    return 0.5 * (mu**2 + logvar**2 - 1 - torch.log(logvar**2)).sum(1)


def kl_plus_logvar(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 + logvar).sum(1)


def kl_in_place(mu, logvar):
    with torch.no_grad():
        logvar.exp_()
    return 0.5 * (mu**2 + logvar - 1 - logvar.log()).sum(1)


def returns_nothing(*arguments):
    pass


# 03.2 ---------------------------------------------------------------------------------


def guess_by_loops(z, log_joint, mus, sigmas):
    step = z[1] - z[0]
    log_p = torch.log(torch.sum(torch.exp(log_joint)) * step)
    best = None
    for mu in mus:
        for sigma in sigmas:
            q = td.Normal(mu, sigma)
            bound = (q.log_prob(z).exp() * (log_joint - q.log_prob(z))).sum() * step
            if best is None or bound > best[0]:
                best = (bound, mu, sigma)
    return best[1], best[2], log_p - best[0]


def guess_by_table(z, log_joint, mus, sigmas):
    """All pairs at once: a table (M, S)."""
    step = z[1] - z[0]
    log_q = td.Normal(mus[:, None, None], sigmas[None, :, None]).log_prob(z)
    log_posterior = log_joint.log_softmax(0) - step.log()
    gaps = (log_q.exp() * step * (log_q - log_posterior)).sum(2)
    i, j = divmod(gaps.argmin().item(), len(sigmas))
    return mus[i].item(), sigmas[j].item(), gaps[i, j].item()


def guess_by_trapezoid(z, log_joint, mus, sigmas):
    log_p = torch.trapezoid(log_joint.exp(), z).log()
    pairs = [(m, s) for s in sigmas.tolist() for m in mus.tolist()]

    def gap(pair):
        log_q = td.Normal(*pair).log_prob(z)
        return torch.trapezoid(log_q.exp() * (log_q - log_joint + log_p), z).item()

    best = min(pairs, key=gap)
    return torch.tensor(best[0]), best[1], gap(best)


def guess_in_a_list(z, log_joint, mus, sigmas):
    return list(guess_by_table(z, log_joint, mus, sigmas))


def guess_with(change):
    """The right search, with another last step."""

    def answer(z, log_joint, mus, sigmas):
        mu, sigma, gap = guess_by_table(z, log_joint, mus, sigmas)
        return change(z, log_joint, mu, sigma, gap)

    return answer


def guess_on_the_joint(z, log_joint, mus, sigmas):
    step = (z[1] - z[0]).item()
    found = []
    for mu in mus.tolist():
        for sigma in sigmas.tolist():
            q = td.Normal(mu, sigma).log_prob(z)
            found.append(((q.exp() * (q - log_joint)).sum().item() * step, mu, sigma))
    gap, mu, sigma = min(found)
    return mu, sigma, gap


def guess_without_step(z, log_joint, mus, sigmas):
    found = []
    log_posterior = log_joint - log_joint.exp().sum().log()
    for mu in mus.tolist():
        for sigma in sigmas.tolist():
            q = td.Normal(mu, sigma).log_prob(z)
            found.append(((q.exp() * (q - log_posterior)).sum().item(), mu, sigma))
    gap, mu, sigma = min(found)
    return mu, sigma, gap


def guess_turned(z, log_joint, mus, sigmas):
    """The mean of log p - log q under p."""
    step = z[1] - z[0]
    log_posterior = log_joint.log_softmax(0) - step.log()
    log_q = td.Normal(mus[:, None, None], sigmas[None, :, None]).log_prob(z)
    gaps = (log_posterior.exp() * step * (log_posterior - log_q)).sum(2)
    i, j = divmod(gaps.argmin().item(), len(sigmas))
    return mus[i], sigmas[j], gaps[i, j]


def guess_never_replaced(z, log_joint, mus, sigmas):
    return guess_by_table(z, log_joint, mus[:1], sigmas[:1])


def guess_by_widest_pair(z, log_joint, mus, sigmas):
    return guess_by_table(z, log_joint, mus, sigmas[-1:])


# 03.3 ---------------------------------------------------------------------------------


def lme_library(log_weight):
    return torch.logsumexp(log_weight, dim=1) - math.log(log_weight.shape[1])


def lme_by_hand(log_weight):
    top = log_weight.max(dim=1, keepdim=True).values
    return (top + (log_weight - top).exp().mean(1, keepdim=True).log()).squeeze(1)


def lme_detached_top(log_weight):
    top = log_weight.detach().amax(1)
    return top + torch.log(torch.mean(torch.exp(log_weight - top[:, None]), 1))


def lme_loop(log_weight):
    rows = []
    for row in log_weight:
        total = row[0]
        for value in row[1:]:
            total = torch.logaddexp(total, value)
        rows.append(total - math.log(len(row)))
    return torch.stack(rows)


def lme_inside(log_weight):
    return (log_weight - math.log(log_weight.shape[1])).logsumexp(-1)


def lme_mean_of_logs(log_weight):
    return log_weight.mean(dim=1)


def lme_naive(log_weight):
    return log_weight.exp().mean(1).log()


def lme_one_maximum(log_weight):
    top = log_weight.max()
    return top + (log_weight - top).exp().mean(1).log()


def lme_without_log(log_weight):
    return log_weight.exp().mean(1)


def lme_divided(log_weight):
    return log_weight.logsumexp(1) / log_weight.shape[1]


def lme_detached(log_weight):
    return lme_library(log_weight.detach())


def lme_clamped(log_weight):
    return log_weight.clamp(-500, 500).exp().mean(1).log()


def weights_formula(log_likelihood, z, mu, logvar):
    mu, logvar = mu.unsqueeze(1), logvar.unsqueeze(1)
    ratio = (z - mu).square() / logvar.exp() + logvar - z.square()
    return log_likelihood + 0.5 * ratio.sum(-1)


def weights_library(log_likelihood, z, mu, logvar):
    q = td.Independent(td.Normal(mu, (logvar / 2).exp()), 1)
    p = td.Independent(td.Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    samples = z.transpose(0, 1)
    return log_likelihood + (p.log_prob(samples) - q.log_prob(samples)).T


def weights_of_sigma(log_likelihood, z, mu, logvar):
    return weights_library(log_likelihood, z, mu, 2 * logvar)


# 03.4 ---------------------------------------------------------------------------------


def says(order):
    return lambda: order


# 03.5 ---------------------------------------------------------------------------------


def beta_in_two_steps(loss_fn, reconstruction, kl, x, outputs, codes):
    (mu, logvar), (other_mu, other_logvar) = codes
    start = loss_fn(x, outputs[0], mu, logvar)
    a = (start - loss_fn(x, outputs[1], mu, logvar)) / (
        reconstruction(x, outputs[0]) - reconstruction(x, outputs[1])
    )
    c = (start - loss_fn(x, outputs[0], other_mu, other_logvar)) / (
        kl(mu, logvar) - kl(other_mu, other_logvar)
    )
    return float(c / a)


def beta_by_gradients(loss_fn, reconstruction, kl, x, outputs, codes):
    output = outputs[0].clone().requires_grad_()
    mu, logvar = (t.clone().requires_grad_() for t in codes[1])
    loss = loss_fn(x, output, mu, logvar)

    def slope(exact, leaf):
        (found,) = torch.autograd.grad(loss, leaf, retain_graph=True)
        (wanted,) = torch.autograd.grad(exact, leaf)
        return (found * wanted).sum() / (wanted**2).sum()

    return slope(kl(mu, logvar), mu) / slope(reconstruction(x, output), output)


def beta_from_the_second_code(loss_fn, reconstruction, kl, x, outputs, codes):
    first, second = outputs
    a = loss_fn(x, second, *codes[1]) - loss_fn(x, first, *codes[1])
    c = loss_fn(x, second, *codes[1]) - loss_fn(x, second, *codes[0])
    exact = reconstruction(x, second) - reconstruction(x, first)
    return (c / (kl(*codes[1]) - kl(*codes[0]))) / (a / exact)


def beta_by_equations(loss_fn, reconstruction, kl, x, outputs, codes):
    """Three losses, three unknowns: a, c and the constant."""
    rows, values = [], []
    for output, code in ((0, 0), (1, 0), (0, 1)):
        o, mu_logvar = outputs[output], codes[code]
        rows.append([reconstruction(x, o).item(), kl(*mu_logvar).item(), 1.0])
        values.append(loss_fn(x, o, *mu_logvar).item())
    a, c, _ = torch.linalg.solve(torch.tensor(rows), torch.tensor(values)).tolist()
    return c / a


def beta_with(formula):
    def answer(loss_fn, reconstruction, kl, x, outputs, codes):
        start = loss_fn(x, outputs[0], *codes[0])
        return formula(
            loss_fn(x, outputs[1], *codes[0]) - start,
            loss_fn(x, outputs[0], *codes[1]) - start,
            reconstruction(x, outputs[1]) - reconstruction(x, outputs[0]),
            kl(*codes[1]) - kl(*codes[0]),
        )

    return answer


def beta_both_at_once(loss_fn, reconstruction, kl, x, outputs, codes):
    start = loss_fn(x, outputs[0], *codes[0])
    a = (loss_fn(x, outputs[1], *codes[0]) - start) / (
        reconstruction(x, outputs[1]) - reconstruction(x, outputs[0])
    )
    c = (loss_fn(x, outputs[1], *codes[1]) - start) / (kl(*codes[1]) - kl(*codes[0]))
    return c / a


def beta_of_one_loss(loss_fn, reconstruction, kl, x, outputs, codes):
    loss = loss_fn(x, outputs[0], *codes[0])
    return (loss / kl(*codes[0])) / (loss / reconstruction(x, outputs[0]))


def beta_wrong_way_to_call(loss_fn, reconstruction, kl, x, outputs, codes):
    return loss_fn(x, outputs[0], codes[0])


EXERCISES = {
    "03.1": {
        "check": check.kl_to_standard_normal,
        "right": [
            (kl_formula,),
            (kl_paper,),
            (kl_library,),
            (kl_multivariate,),
            (kl_loop,),
            (kl_float32,),
        ],
        "wrong": [
            ((kl_without_half,), "one half is missing"),
            ((kl_everything_sum,), "summed over the batch too"),
            ((kl_reversed,), "other direction"),
            ((kl_logvar_is_sigma,), "logvar as the standard deviation"),
            ((kl_plus_logvar,), "minus log sigma^2"),
            ((kl_in_place,), "changed a tensor"),
            ((returns_nothing,), "returned None"),
        ],
    },
    "03.2": {
        "check": check.best_guess,
        "right": [
            (guess_by_loops,),
            (guess_by_table,),
            (guess_by_trapezoid,),
            (guess_in_a_list,),
        ],
        "wrong": [
            ((guess_on_the_joint,), "area of the joint is missing"),
            ((guess_without_step,), "missing in both sums"),
            ((guess_turned,), "KL in the other direction"),
            ((guess_never_replaced,), "first pair"),
            ((guess_with(lambda z, lj, m, s, g: (s, m, g)),), "order is mu, sigma"),
            ((guess_with(lambda z, lj, m, s, g: (m, s, -g)),), "minus its gap"),
            ((guess_with(lambda z, lj, m, s, g: g),), "returned"),
            ((guess_by_widest_pair,), "Work this one by hand"),
            ((returns_nothing,), "returned None"),
        ],
    },
    "03.3": {
        "check": check.log_mean_exp,
        "right": [
            (lme_library, weights_library),
            (lme_by_hand, weights_formula),
            (lme_detached_top, weights_formula),
            (lme_loop, weights_formula),
            (lme_inside, weights_formula),
        ],
        "wrong": [
            ((lme_mean_of_logs, weights_formula), "mean of the logs"),
            ((lme_naive, weights_formula), "log-weights around -1000"),
            ((lme_one_maximum, weights_formula), "rows from -1000 to 1000"),
            ((lme_without_log, weights_formula), "logarithm is missing"),
            ((lme_divided, weights_formula), "divide the logarithm by S"),
            ((lme_detached, weights_formula), "carry no gradient"),
            ((lme_clamped, weights_formula), "a limit on the weights"),
            ((returns_nothing,), "returned None"),
            ((lme_library, weights_of_sigma), "logvar as log sigma"),
            (
                (lme_library, lambda ll, z, m, v: weights_formula(ll, z, m, v).sum(1)),
                "shape",
            ),
        ],
    },
    "03.4": {
        "check": check.lines_in_order,
        "right": [
            (says("CEAFDB"),),
            (says("ecafdb"),),
            (says("F, E, C, A, D, B"),),
            (says(["C", "E", "F", "A", "D", "B"]),),
            (says("C E F A D B"),),
            (says("FCEADB"),),
            (says("EFCADB"),),
            (says("CFEADB"),),
            (says("ECFADB"),),
            (says("FECADB"),),
            (says("EC->A->F->D->B"),),
        ],
        "wrong": [
            ((says("ABCDEF"),), "Line A stands too early, before line C"),
            ((says("CAEFDB"),), "Line A stands too early, before line E"),
            ((says("CEADFB"),), "Line D stands too early, before line F"),
            ((says("CEFDAB"),), "Line D stands too early, before line A"),
            ((says("CEAFBD"),), "Line B stands too early, before line D"),
            ((says("BDFAEC"),), "the way back"),
            ((says("CEADB"),), "Not there: F"),
            ((says("CEAFDBC"),), "Not once only: C"),
            ((says("CEAFDG"),), "no line G"),
            ((says(""),), "six letters"),
            ((says(3),), "int"),
            ((returns_nothing,), "NoneType"),
        ],
    },
    "03.5": {
        "check": check.hidden_beta,
        "right": [
            (beta_in_two_steps,),
            (beta_by_gradients,),
            (beta_from_the_second_code,),
            (beta_by_equations,),
        ],
        "wrong": [
            ((beta_with(lambda o, c, eo, ec: (o / eo) / (c / ec)),), "a / c"),
            ((beta_with(lambda o, c, eo, ec: c / ec),), "c alone"),
            ((beta_with(lambda o, c, eo, ec: c / o),), "first be divided"),
            (
                (beta_with(lambda o, c, eo, ec: -(c / ec) / (o / eo)),),
                "sign is flipped",
            ),
            ((beta_both_at_once,), "at once"),
            ((beta_of_one_loss,), "differences of two losses"),
            ((beta_wrong_way_to_call,), "TypeError"),
            ((returns_nothing,), "returned None"),
        ],
    },
}
