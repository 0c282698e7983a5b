# SPDX-License-Identifier: GPL-2.0-only
"""Boots kernels, runs the iotarget tests in them and judges what they said."""
