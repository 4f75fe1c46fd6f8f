"""Long-context LLM inference that reads only what matters.

Operations of TCA attention on torch, numpy and jax arrays (DLPack, nothing copied), profiles, KV caches that are ragged
per KV head and free memory, and the runtime behind the program `tca`:

    import tca
    engine = tca.Engine("path/of/model", keep=0.2)
    chat = engine.chat()
    chat.read(open("document.txt").read())
    print(chat.say("What does it say about X?"))
"""
from tca._engine import Engine, stream
from tca._operations import (backend_of, certify, decode_attention, dense_attention, prefill_attention, probe_scores,
                             select)
from tca._tca import (Backend, BadFile, BlockOrder, BlockShares, Calibration, Cancelled, Chat, Error, Generated, HeadCertificate,
                      HeadShares, InvalidArgument, IoError, KeptSet, KvCache, KvPool, ModelFingerprint, OutOfBudget,
                      ProbeReduce, Profile, SelectionRule, Session, Turn, Unsupported, __version__, available_backends)

__all__ = [name for name in dir() if not name.startswith("_")]
