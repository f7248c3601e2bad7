"""Publications that more than one part of the library cites; all others stand where they are used."""

from __future__ import annotations

from unweave.types import Reference

WU_2022 = Reference(
    "wu2022deft",
    "Wu, Jiantao and Wang, Lin and Yang, Bo and Li, Fanqi and Liu, Chunxiuzi and Zhou, Jin",
    "DEFT: distilling entangled factors by preventing information diffusion",
    "Machine Learning 111",
    2022,
    "https://arxiv.org/abs/2102.03986",
)
HIGGINS_2017 = Reference(
    "higgins2017beta",
    "Higgins, Irina and Matthey, Loic and Pal, Arka and Burgess, Christopher and Glorot, Xavier and "
    "Botvinick, Matthew and Mohamed, Shakir and Lerchner, Alexander",
    "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework",
    "International Conference on Learning Representations",
    2017,
    "https://openreview.net/forum?id=Sy2fzU9gl",
)
LOCATELLO_2019 = Reference(
    "locatello2019challenging",
    "Locatello, Francesco and Bauer, Stefan and Lucic, Mario and Rätsch, Gunnar and Gelly, Sylvain and "
    "Schölkopf, Bernhard and Bachem, Olivier",
    "Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations",
    "International Conference on Machine Learning",
    2019,
    "https://arxiv.org/abs/1811.12359",
)
"""The study whose metric settings most later publications follow."""
