# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signals, sent to this very process."""

from __future__ import annotations

import os
import signal

import pytest

from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.errors import Interrupted
from ansible_collections.hypersdk.hyper2kvm.plugins.module_utils.interrupt import signals_raise


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_first_one_raises_and_the_next_leaves_the_clean_up_alone(again: signal.Signals) -> None:
    before = signal.getsignal(again)
    cleaned = []
    with pytest.raises(Interrupted, match="SIGTERM"), signals_raise():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), again)
            cleaned.append(True)
    assert cleaned
    assert signal.getsignal(again) is before
