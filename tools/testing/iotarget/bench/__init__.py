# SPDX-License-Identifier: GPL-2.0-only
"""The benchmark: see run.py."""
