"""LoRAPrune: an adapter is trained while heads and channels are masked by what it shows of them.

Source: Zhang et al., LoRAPrune (Findings of ACL 2024, arXiv 2305.18403), and its code
(aim-uofa/LoRAPrune at 4da5272), whose masked model nobody ever slices or saves.
"""
