from dataclasses import replace

import pytest
import torch

from pruning.container import container
from pruning.publishing.adapter import read_adapter
from pruning.publishing.attaching import attached
from rankspace.errors import InvalidInput
from tests.unit.pruning.publishing.conftest import Recovered, logits_of


def test_a_model_answers_as_trained_while_it_is_attached_and_as_before_after(
    uneven: Recovered,
) -> None:
    model = container.load(uneven.source).model
    before = logits_of(model)
    with attached(model, read_adapter(uneven.adapter)):
        torch.testing.assert_close(logits_of(model), uneven.logits, atol=1e-5, rtol=1e-5)
    assert torch.equal(logits_of(model), before)
    assert not torch.allclose(before, uneven.logits, atol=1e-3)


def test_an_adapter_of_another_model_is_refused_and_leaves_no_trace(uneven: Recovered) -> None:
    model = container.load(uneven.source).model
    before = logits_of(model)
    adapter = dict(read_adapter(uneven.adapter))
    last = list(adapter)[-1]
    adapter[last] = replace(adapter[last], first=adapter[last].first[:, :-1])
    with pytest.raises(InvalidInput, match="shape"), attached(model, adapter):
        pass
    assert torch.equal(logits_of(model), before)
