"""A LADSPA host for the tests. Its binary interface is written from the specification, not from the plugin's source."""

import ctypes
from pathlib import Path

import numpy as np

import vivavoce

PLUGIN = Path(vivavoce.__file__).parent / "vivavoce_ladspa.so"

FLOATS = ctypes.POINTER(ctypes.c_float)
INPUT, OUTPUT, CONTROL, AUDIO = 1, 2, 4, 8


class PortRangeHint(ctypes.Structure):
    _fields_ = [("bits", ctypes.c_int), ("lower", ctypes.c_float), ("upper", ctypes.c_float)]


class Descriptor(ctypes.Structure):
    pass


Descriptor._fields_ = [
    ("unique_id", ctypes.c_ulong),
    ("label", ctypes.c_char_p),
    ("properties", ctypes.c_int),
    ("name", ctypes.c_char_p),
    ("maker", ctypes.c_char_p),
    ("copyright", ctypes.c_char_p),
    ("port_count", ctypes.c_ulong),
    ("ports", ctypes.POINTER(ctypes.c_int)),
    ("port_names", ctypes.POINTER(ctypes.c_char_p)),
    ("port_range_hints", ctypes.POINTER(PortRangeHint)),
    ("implementation_data", ctypes.c_void_p),
    ("instantiate", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(Descriptor), ctypes.c_ulong)),
    ("connect_port", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ulong, FLOATS)),
    ("activate", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
    ("run", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ulong)),
    ("run_adding", ctypes.c_void_p),
    ("set_run_adding_gain", ctypes.c_void_p),
    ("deactivate", ctypes.c_void_p),
    ("cleanup", ctypes.CFUNCTYPE(None, ctypes.c_void_p)),
]


def descriptors(path=PLUGIN):
    """All that a file describes, by label."""
    function = ctypes.CDLL(str(path)).ladspa_descriptor
    function.argtypes, function.restype = [ctypes.c_ulong], ctypes.POINTER(Descriptor)
    found = {}
    while pointer := function(len(found)):
        found[pointer.contents.label.decode()] = pointer.contents
    return found


class Plugin:
    """An active instance with all ports connected. `with` cleans up.

    `controls` are in the order of the ports. RuntimeError: the plugin made no instance.
    """

    def __init__(self, label, controls=(100.0, 0.0), sample_rate=48_000, path=PLUGIN):
        self.descriptor = descriptors(path)[label]
        self.channels = {"vivavoce_mono": 1, "vivavoce_stereo": 2}[label]
        self.handle = self.descriptor.instantiate(ctypes.byref(self.descriptor), sample_rate)
        if self.handle is None:
            raise RuntimeError(f"no instance of {label}")
        self.controls = np.array([*controls, -1], np.float32)
        for index in range(3):
            self.connect(2 * self.channels + index, self.controls[index:])
        self.activate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.descriptor.cleanup(self.handle)

    @property
    def latency(self):
        return int(self.controls[-1])

    def connect(self, port, samples):
        self.descriptor.connect_port(self.handle, port, samples.ctypes.data_as(FLOATS) if samples is not None else None)

    def activate(self):
        self.descriptor.activate(self.handle)

    def run(self, count):
        self.descriptor.run(self.handle, count)

    def process(self, samples, blocks=(480,), *, in_place=False):
        """Shape (channels, samples), float32, in and out; block sizes are taken in turn."""
        samples = np.ascontiguousarray(samples, np.float32)
        output = samples.copy() if in_place else np.full_like(samples, np.nan)
        source = output if in_place else samples
        at = turn = 0
        while at < samples.shape[1]:
            count = min(blocks[turn % len(blocks)], samples.shape[1] - at)
            for channel in range(self.channels):
                self.connect(channel, source[channel, at:])
                self.connect(self.channels + channel, output[channel, at:])
            self.run(count)
            at, turn = at + count, turn + 1
        return output
