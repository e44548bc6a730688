"""Machine translation: the paper's Transformer on WMT'14, and a small one on generated German."""
