"""The GPU side: lease a trial, attach adapters, fine-tune, measure, report.

Importing this package forbids the Hugging Face libraries to go to the network: a trial must not
depend on a hub being reachable, and the flags are read when those libraries are first imported.
"""

import os

for _flag in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
    os.environ.setdefault(_flag, "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
