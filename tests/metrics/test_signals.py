"""PSNR and SSIM against scikit-image."""

import pytest
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from codeformer_core.errors import SettingError
from codeformer_core.metrics import psnr, ssim


def noisy_pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    clean = torch.from_numpy(data.astronaut()[100:164, 150:223] / 255.0)
    noise = 0.1 * torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    return clean, (clean + noise).clamp(0, 1)


def test_psnr_agrees_with_scikit_image():
    clean, noisy = noisy_pair()
    expected = peak_signal_noise_ratio(clean.numpy(), noisy.numpy(), data_range=1)
    assert float(psnr(clean, noisy)) == pytest.approx(expected, abs=1e-9)


def test_psnr_of_equal_pictures_is_infinite():
    clean, _ = noisy_pair()
    assert float(psnr(clean, clean)) == float("inf")


def test_ssim_agrees_with_scikit_image():
    clean, noisy = noisy_pair()
    expected = structural_similarity(
        clean.numpy(),
        noisy.numpy(),
        data_range=1,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert float(ssim(clean, noisy)) == pytest.approx(expected, abs=1e-9)
    assert float(ssim(clean, clean)) == pytest.approx(1)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_batches_are_measured_picture_by_picture(metric):
    clean, noisy = noisy_pair()
    both = metric(torch.stack([clean, noisy]), torch.stack([noisy, clean * 0.5]))
    assert both.shape == (2,)
    assert float(both[0]) == pytest.approx(float(metric(clean, noisy)))
    assert float(both[1]) == pytest.approx(float(metric(noisy, clean * 0.5)))


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_pictures_of_different_sizes_are_refused(metric):
    with pytest.raises(SettingError, match="resize"):
        metric(torch.zeros(12, 12, 3), torch.zeros(12, 13, 3))


def test_ssim_refuses_pictures_smaller_than_its_window():
    with pytest.raises(SettingError, match="11 x 11"):
        ssim(torch.zeros(10, 20, 3), torch.zeros(10, 20, 3))
