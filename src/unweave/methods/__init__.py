"""What is optimised: one method a file."""

from unweave.methods.ada_vae import AdaGVAE as AdaGVAE
from unweave.methods.ada_vae import AdaMLVAE as AdaMLVAE
from unweave.methods.annealed_vae import AnnealedVAE as AnnealedVAE
from unweave.methods.base import Method as Method
from unweave.methods.base import Preset as Preset
from unweave.methods.beta_stcvae import BetaSTCVAE as BetaSTCVAE
from unweave.methods.beta_tcvae import BetaTCVAE as BetaTCVAE
from unweave.methods.beta_vae import BetaVAE as BetaVAE
from unweave.methods.bhivae import BHiVAE as BHiVAE
from unweave.methods.bhivae_supervised import BHiVAESupervised as BHiVAESupervised
from unweave.methods.cascade_vae_c import CascadeVAEC as CascadeVAEC
from unweave.methods.control_vae import ControlVAE as ControlVAE
from unweave.methods.conventions import convert_beta as convert_beta
from unweave.methods.deft import DEFT as DEFT
from unweave.methods.devae import DeVAE as DeVAE
from unweave.methods.dip_vae import DIPVAE1 as DIPVAE1
from unweave.methods.dip_vae import DIPVAE2 as DIPVAE2
from unweave.methods.dynamic_vae import DynamicVAE as DynamicVAE
from unweave.methods.factor_vae import FactorVAE as FactorVAE
from unweave.methods.guided_vae import GuidedVAE as GuidedVAE
from unweave.methods.guided_vae_supervised import GuidedVAESupervised as GuidedVAESupervised
from unweave.methods.hfvae import HFVAE as HFVAE
from unweave.methods.info_vae import InfoVAE as InfoVAE
from unweave.methods.infogan import InfoGAN as InfoGAN
from unweave.methods.nvae import NVAE as NVAE
from unweave.methods.recurd import RecurD as RecurD
from unweave.methods.vae import VAE as VAE
from unweave.methods.vamp_prior import VampPrior as VampPrior

METHODS: dict[str, type[Method]] = {
    one.name: one
    for one in (
        VAE,
        BetaVAE,
        FactorVAE,
        ControlVAE,
        DeVAE,
        DEFT,
        BetaTCVAE,
        HFVAE,
        BetaSTCVAE,
        BHiVAE,
        BHiVAESupervised,
        AnnealedVAE,
        CascadeVAEC,
        DynamicVAE,
        DIPVAE1,
        DIPVAE2,
        InfoVAE,
        VampPrior,
        AdaGVAE,
        AdaMLVAE,
        GuidedVAE,
        GuidedVAESupervised,
        InfoGAN,
        NVAE,
        RecurD,
    )
}
