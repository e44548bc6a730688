"""Machine translation: the paper's Transformer on WMT'14, and a small one on generated German."""

PUBLIC = {  # what a run directory calls what lies here or there (core/directory/described.py)
    "Network": "tasks.nmt.network:Network",
    "Translation": "tasks.nmt.trainer:Translation",
    "Translator": "tasks.nmt.trainer:Translator",
    "WarmUp": "tasks.nmt.warm_up:WarmUp",
    "generated": "tasks.nmt.corpus:generated",
    "wmt14": "tasks.nmt.wmt14:wmt14",
}
