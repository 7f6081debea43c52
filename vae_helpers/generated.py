"""How good are drawn images? A classifier of digits, and the Frechet distance in it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vae_helpers.data import ImageData
from vae_helpers.pixels import to_unit_interval
from vae_helpers.training import progress, warmup_cosine


class DigitClassifier(nn.Module):
    """A small convolutional net for 28 x 28 images, and the features it looks at.

    It is our own measuring device: its distances mean something only beside others
    measured with the same classifier.
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 7 * 7, 64),
            nn.ReLU(),
        )
        self.head = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, 28, 28) in [0, 1] -> (B, classes) logits."""
        return self.head(self.body(x))


def train_classifier(
    data: ImageData, *, steps: int = 800, seed: int = 0, device="cpu"
) -> DigitClassifier:
    """A frozen `DigitClassifier` trained on data.train_images (batches of 128).

    Returns:
        The classifier in eval mode, without gradients, on the device.
    """
    torch.manual_seed(seed)
    classifier = DigitClassifier(len(data.class_names)).to(device)
    optimizer = torch.optim.Adam(classifier.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(seed)
    for step in progress(steps, "training the classifier"):
        index = torch.randint(len(data.train_images), (128,), generator=generator)
        x = to_unit_interval(data.train_images[index].to(device))
        loss = F.cross_entropy(classifier(x), data.train_labels[index].to(device))
        optimizer.param_groups[0]["lr"] = 3e-3 * warmup_cosine(step / steps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return classifier.eval().requires_grad_(False)


@torch.no_grad()
def features_and_probabilities(
    classifier: DigitClassifier, images: Tensor
) -> tuple[Tensor, Tensor]:
    """(N, 1, 28, 28) images -> (N, 64) features and (N, classes) probabilities, on cpu."""
    device = classifier.head.weight.device
    features, probabilities = [], []
    for chunk in images.split(1000):
        found = classifier.body(to_unit_interval(chunk.to(device)))
        features.append(found.cpu())
        probabilities.append(classifier.head(found).softmax(1).cpu())
    return torch.cat(features), torch.cat(probabilities)


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Frechet distance of two sets of features, each taken as one Gaussian.

    |mean_a - mean_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)); 0 for equal sets. It grows
    as the sets shrink, so compare only values from sets of the same size, and print the
    value for two sets of real images beside it.

    Args:
        a, b: (N, F) and (M, F) features.

    Raises:
        ValueError: other shapes, or fewer than F + 1 rows (the covariance has no
            inverse then and the number means little).

    Source:
        Dowson & Landau 1982, eq. 16; for generated images Heusel et al. 2017
        (arXiv:1706.08500), eq. 6. Used in lesson 04.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(
            f"need two (rows, features) tensors with equal features, got "
            f"{tuple(a.shape)} and {tuple(b.shape)}"
        )
    if min(len(a), len(b)) <= a.shape[1]:
        raise ValueError(
            f"need more rows than the {a.shape[1]} features, got {len(a)} and {len(b)}"
        )
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    values, vectors = torch.linalg.eigh(cov_a)
    root_a = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root_a @ cov_b @ root_a).clamp_min(0).sqrt().sum()
    mean = ((a.mean(0) - b.mean(0)) ** 2).sum()
    distance = mean + cov_a.trace() + cov_b.trace() - 2 * cross
    return max(0.0, distance.item())  # rounding may leave -1e-5 for equal sets


def sample_report(
    classifier: DigitClassifier, images: Tensor, real_features: Tensor
) -> dict[str, float]:
    """How close images come to real ones, as seen by a classifier.

    Args:
        classifier: see `train_classifier`.
        images: (N, 1, 28, 28) in [0, 1], or uint8.
        real_features: (M, 64) features of real images.

    Returns:
        "distance": Frechet distance to the real features (lower is better);
        "sure": share of images whose class gets a probability above 0.9;
        "rarest class": share of images that the least frequent class gets.
    """
    features, probabilities = features_and_probabilities(classifier, images)
    best, labels = probabilities.max(1)
    counts = labels.bincount(minlength=probabilities.shape[1])
    return {
        "distance": frechet_distance(features, real_features),
        "sure": (best > 0.9).double().mean().item(),
        "rarest class": counts.min().item() / len(images),
    }
