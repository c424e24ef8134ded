"""Networks of other libraries: what is asked of them, and the libraries themselves if there."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lottery.core import prunable_weights
from lottery.errors import LotteryError, UsageError
from lottery.integrations.extra import import_extra
from lottery.models import build_model


class Recorder:
    """Returns a network for whatever it is asked, and remembers the request."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def __call__(self, *arguments: Any, **settings: Any) -> nn.Module:
        self.asked.append((*arguments, settings))
        return nn.Identity()


def module(name: str, **contents: Any) -> ModuleType:
    made = ModuleType(name)
    made.__dict__.update(contents)
    return made


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    create, names = Recorder(), ["resnet18", "vit_tiny_patch16_224", "unknown_size"]
    sizes = {
        "resnet18": SimpleNamespace(fixed_input_size=False),
        "vit_tiny_patch16_224": SimpleNamespace(fixed_input_size=True),
    }
    fake = module(
        "timm",
        create_model=create,
        is_model=names.__contains__,
        list_models=lambda: names,
        get_pretrained_cfg=sizes.get,
    )
    monkeypatch.setitem(sys.modules, "timm", fake)
    return create


def test_timm_is_asked_for_random_weights_channels_and_classes(timm: Recorder) -> None:
    for name in ("resnet18", "vit_tiny_patch16_224", "unknown_size"):
        build_model(f"timm:{name}", (1, 28, 32), 7)

    common = {"pretrained": False, "num_classes": 7, "in_chans": 1}
    assert timm.asked == [
        ("resnet18", common),
        ("vit_tiny_patch16_224", common | {"img_size": (28, 32)}),
        ("unknown_size", common),
    ]


@pytest.mark.usefixtures("timm")
def test_timm_refusals() -> None:
    with pytest.raises(UsageError, match="timm has no network 'resnet81'; did you mean 'resnet18'"):
        build_model("timm:resnet81", (3, 32, 32), 7)
    with pytest.raises(UsageError, match=r"timm.list_models"):
        build_model("timm:qqq", (3, 32, 32), 7)
    with pytest.raises(UsageError, match=r"takes images of shape .*got examples of shape \(784,\)"):
        build_model("timm:resnet18", (784,), 7)


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    get = Recorder()
    names = ["googlenet", "inception_v3", "resnet18", "vit_b_16"]
    fake = module("torchvision.models", get_model=get)

    def list_models(module: ModuleType) -> list[str]:
        assert module is fake
        return names

    fake.__dict__["list_models"] = list_models
    monkeypatch.setitem(sys.modules, "torchvision", module("torchvision", models=fake))
    monkeypatch.setitem(sys.modules, "torchvision.models", fake)
    return get


def test_torchvision_is_asked_for_random_weights_and_classes(torchvision: Recorder) -> None:
    for name in ("resnet18", "googlenet", "vit_b_16"):
        build_model(f"torchvision:{name}", (3, 64, 64), 7)

    common = {"weights": None, "num_classes": 7}
    assert torchvision.asked == [
        ("resnet18", common),
        ("googlenet", common | {"aux_logits": False, "init_weights": False}),
        ("vit_b_16", common | {"image_size": 64}),
    ]


@pytest.mark.usefixtures("torchvision")
def test_torchvision_refusals() -> None:
    with pytest.raises(UsageError, match="no classifier 'resnet19'; did you mean 'resnet18'"):
        build_model("torchvision:resnet19", (3, 32, 32), 7)
    with pytest.raises(UsageError, match="Choices: googlenet, inception_v3, resnet18, vit_b_16"):
        build_model("torchvision:qqq", (3, 32, 32), 7)
    with pytest.raises(UsageError, match=r"\(3, height, width\), got examples of shape \(1, 28,"):
        build_model("torchvision:resnet18", (1, 28, 28), 7)
    with pytest.raises(UsageError, match="takes square images, got 32 x 64"):
        build_model("torchvision:vit_b_16", (3, 32, 64), 7)


class Classifier(nn.Module):
    """As those of transformers: takes a keyword and returns an object."""

    def __init__(self, config: SimpleNamespace) -> None:
        super().__init__()
        self.config = config
        self.classifier = nn.Linear(4, config.num_labels)

    def forward(self, pixel_values: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.classifier(pixel_values.flatten(1)))


class WithWords(Classifier):
    def forward(self, input_ids: Tensor, pixel_values: Tensor) -> SimpleNamespace:  # type: ignore[override]
        raise AssertionError


class Silent(Classifier):
    def forward(self, pixel_values: Tensor) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=pixel_values)


def not_square(config: SimpleNamespace) -> nn.Module:
    raise TypeError("unsupported operand type(s) for //: 'tuple' and 'int'")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What a stand-in for transformers was asked for."""
    requests: list[tuple[str, dict[str, Any]]] = []
    vision = SimpleNamespace(num_channels=3, image_size=224)
    defaults: dict[str, dict[str, Any]] = {
        "vit": {"num_channels": 3, "image_size": 224},
        "resnet": {"num_channels": 3},
        "pairs": {"image_size": [224, 224]},
        "stem": {"num_channels": 3, "stem_channels": (3, 32, 48)},
        "width": {"stem_channels": 16},
        "text-stem": {"stem_num_channels": 3},
        "nested": {"vision_config": vision, "text_config": {}},
        **{key: {} for key in ("worded", "silent", "square")},
    }

    def for_model(name: str, **settings: Any) -> SimpleNamespace:
        requests.append((name, settings))
        if name not in defaults:
            raise ValueError(f"Unrecognized model identifier: {name}. Should contain one of ...")
        return SimpleNamespace(**defaults[name] | settings, model_type=name)

    def from_config(config: SimpleNamespace) -> nn.Module:
        assert config.architectures == [], "else some releases find no class for some names"
        return special.get(config.model_type, Classifier)(config)

    special = {"worded": WithWords, "silent": Silent, "square": not_square}
    fake = module(
        "transformers",
        AutoConfig=SimpleNamespace(for_model=for_model),
        AutoModelForImageClassification=SimpleNamespace(from_config=from_config),
    )
    monkeypatch.setitem(sys.modules, "transformers", fake)
    return requests


def test_transformers_is_asked_for_an_architecture(
    asked: list[tuple[str, dict[str, Any]]],
) -> None:
    model = build_model("hf:vit", (1, 2, 2), 7)
    build_model("hf:vit", (1, 2, 4), 7)
    build_model("hf:resnet", (1, 2, 2), 7)

    common = {"num_channels": 1, "num_labels": 7, "architectures": []}
    assert [settings for _, settings in asked if settings] == [
        common | {"image_size": 2},
        common | {"image_size": (2, 4)},
        common,
    ]
    assert model(torch.zeros(5, 1, 2, 2)).shape == (5, 7)
    assert [*prunable_weights(model)] == ["network.classifier.weight"]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("pairs", {"image_size": (2, 2)}),
        ("stem", {"num_channels": 1, "stem_channels": [1, 32, 48]}),
        ("width", {}),
        ("text-stem", {"stem_num_channels": 1}),
        ("nested", {"vision_config": {"num_channels": 1, "image_size": 2}}),
    ],
)
def test_channels_and_size_go_where_an_architecture_has_them(
    asked: list[tuple[str, dict[str, Any]]], name: str, settings: dict[str, Any]
) -> None:
    build_model(f"hf:{name}", (1, 2, 2), 7)

    assert asked[-1] == (name, {"num_labels": 7, "architectures": []} | settings)


@pytest.mark.usefixtures("asked")
def test_transformers_refusals() -> None:
    with pytest.raises(UsageError, match=r"hf:worded learns from more than images.* input_ids;"):
        build_model("hf:worded", (1, 2, 2), 7)
    with pytest.raises(UsageError, match=r"Silent of transformers gives .* without logits"):
        build_model("hf:silent", (1, 2, 2), 7)(torch.zeros(1, 1, 2, 2))
    with pytest.raises(UsageError, match="hf:square takes square images, got 2 x 4"):
        build_model("hf:square", (1, 2, 4), 7)
    with pytest.raises(UsageError, match=r"hf:tiv: building it .*ValueError: Unrecognized model"):
        build_model("hf:tiv", (3, 32, 32), 7)
    with pytest.raises(UsageError, match=r"got examples of shape \(784,\)"):
        build_model("hf:vit", (784,), 7)


def test_a_package_that_does_not_fit_torch_is_a_clear_error(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unfitting.py").write_text("raise RuntimeError('operator nms does not exist')")
    (tmp_path / "needy_package.py").write_text("import package_that_is_nowhere.part")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(LotteryError, match=r"cannot be imported: operator nms .*lottery\[timm\]"):
        import_extra("unfitting", extra="timm", what="x")
    with pytest.raises(LotteryError, match="x needs the package package_that_is_nowhere: pip"):
        import_extra("needy_package", extra="timm", what="x")


# The libraries themselves


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "mobilenetv3_small_100"])
def test_timm_itself(name: str) -> None:
    pytest.importorskip("timm", reason="timm is not installed: pip install 'lottery[timm]'")

    model = build_model(f"timm:{name}", (1, 64, 64), 7).eval()

    assert model(torch.zeros(2, 1, 64, 64)).shape == (2, 7)


@pytest.mark.parametrize("name", ["resnet18", "vit_b_16", "inception_v3"])
def test_torchvision_itself(name: str) -> None:
    reason = "torchvision is not installed: pip install 'lottery[torchvision]'"
    pytest.importorskip("torchvision", reason=reason)

    model = build_model(f"torchvision:{name}", (3, 96, 96), 7).train()

    assert model(torch.zeros(2, 3, 96, 96)).shape == (2, 7)


TRANSFORMERS = "transformers is not installed: pip install 'lottery[transformers]'"


@pytest.mark.parametrize(
    "name",
    [
        *("vit", "resnet", "convnext", "deit", "levit", "clip", "siglip"),
        *("hiera", "hgnet_v2", "textnet"),
    ],
)
def test_transformers_itself(name: str) -> None:
    pytest.importorskip("transformers", reason=TRANSFORMERS)

    model = build_model(f"hf:{name}", (1, 64, 64), 7).eval()

    assert model(torch.zeros(2, 1, 64, 64)).shape == (2, 7)


@pytest.mark.parametrize("name", ["imagegpt", "siglip2"])
def test_transformers_itself_where_images_are_not_enough(name: str) -> None:
    pytest.importorskip("transformers", reason=TRANSFORMERS)

    with torch.device("meta"), pytest.raises(UsageError, match=f"hf:{name} learns from more than"):
        build_model(f"hf:{name}", (3, 32, 32), 7)
