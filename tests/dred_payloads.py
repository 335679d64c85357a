"""Payloads of deep redundancy that got past their check."""

import binascii


def checked(data):
    """The same with the check that it must have: whoever reads it reaches what is behind."""
    return data[:2] + binascii.crc_hqx(data[:2] + data[4:], 0xFFFF).to_bytes(2, "big") + data[4:]
