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
DING_2020 = Reference(
    "ding2020guided",
    "Zheng Ding and Yifan Xu and Weijian Xu and Gaurav Parmar and Yang Yang and Max Welling and Zhuowen Tu",
    "Guided Variational Autoencoder for Disentanglement Learning",
    "IEEE/CVF Conference on Computer Vision and Pattern Recognition",
    2020,
    "https://arxiv.org/abs/2004.01255",
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
CHEN_2018 = Reference(
    "chen2018isolating",
    "Chen, Ricky T. Q. and Li, Xuechen and Grosse, Roger and Duvenaud, David",
    "Isolating Sources of Disentanglement in Variational Autoencoders",
    "Advances in Neural Information Processing Systems",
    2018,
    "https://arxiv.org/abs/1802.04942",
)
ESMAEILI_2019 = Reference(
    "esmaeili2019structured",
    "Esmaeili, Babak and Wu, Hao and Jain, Sarthak and Bozkurt, Alican and Siddharth, N. and Paige, Brooks and "
    "Brooks, Dana H. and Dy, Jennifer and van de Meent, Jan-Willem",
    "Structured Disentangled Representations",
    "International Conference on Artificial Intelligence and Statistics",
    2019,
    "https://arxiv.org/abs/1804.02086",
)
CHEN_2022 = Reference(
    "chen2022break",
    "Chen, Zihao and Wang, Wenyong and Zou, Sai",
    "Break The Spell of Total Correlation in β-TCVAE",
    "arXiv preprint arXiv:2210.08794",
    2022,
    "https://arxiv.org/abs/2210.08794",
)
LIU_2021 = Reference(
    "liu2021bhivae",
    "Liu, Ziwen and Li, Mingqiang and Han, Congying",
    "Blocked and Hierarchical Disentangled Representation From Information Theory Perspective",
    "arXiv preprint arXiv:2101.08408",
    2021,
    "https://arxiv.org/abs/2101.08408",
)
RIDGEWAY_2018 = Reference(
    "ridgeway2018learning",
    "Ridgeway, Karl and Mozer, Michael C.",
    "Learning Deep Disentangled Embeddings with the F-Statistic Loss",
    "Advances in Neural Information Processing Systems",
    2018,
    "https://arxiv.org/abs/1802.05312",
)
