"""BibTeX of the methods that the pack's scores rest on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final


def _entry(kind: str, key: str, **fields: str) -> tuple[str, str]:
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return key, f"@{kind}{{{key},\n{lines}\n}}"


NEURIPS: Final = "Advances in Neural Information Processing Systems"
CVPR: Final = "IEEE/CVF Conference on Computer Vision and Pattern Recognition"
ICLR: Final = "International Conference on Learning Representations"
ICML: Final = "International Conference on Machine Learning"

ENTRIES: Final[Mapping[str, str]] = dict(
    [
        _entry(
            "inproceedings",
            "heusel2017",
            author="Heusel, Martin and Ramsauer, Hubert and Unterthiner, Thomas and Nessler, Bernhard and "
            "Hochreiter, Sepp",
            title="{GANs} Trained by a Two Time-Scale Update Rule Converge to a Local {Nash} Equilibrium",
            booktitle=NEURIPS,
            year="2017",
        ),
        _entry(
            "book",
            "efron1982",
            author="Efron, Bradley",
            title="The Jackknife, the Bootstrap and Other Resampling Plans",
            publisher="Society for Industrial and Applied Mathematics",
            year="1982",
        ),
        _entry(
            "inproceedings",
            "chong2020",
            author="Chong, Min Jin and Forsyth, David",
            title="Effectively Unbiased {FID} and {Inception} Score and Where to Find Them",
            booktitle=CVPR,
            year="2020",
        ),
        _entry(
            "inproceedings",
            "binkowski2018",
            author="Bi{\\'n}kowski, Miko{\\l}aj and Sutherland, Danica J. and Arbel, Michael and Gretton, Arthur",
            title="Demystifying {MMD} {GANs}",
            booktitle=ICLR,
            year="2018",
        ),
        _entry(
            "misc",
            "berthet2026",
            author="Berthet, Quentin and Wu, Yu-Han and Crepy, Cl{\\'e}ment and Elie, Romuald and Greff, Klaus and "
            'Sander, Micha{\\"e}l E.',
            title="{MIND}: {Monge} {Inception} Distance for Generative Models Evaluation",
            eprint="2605.06797",
            archiveprefix="arXiv",
            year="2026",
        ),
        _entry(
            "inproceedings",
            "lucic2018",
            author="Lucic, Mario and Kurach, Karol and Michalski, Marcin and Gelly, Sylvain and Bousquet, Olivier",
            title="Are {GANs} Created Equal? A Large-Scale Study",
            booktitle=NEURIPS,
            year="2018",
        ),
        _entry(
            "inproceedings",
            "salimans2016",
            author="Salimans, Tim and Goodfellow, Ian and Zaremba, Wojciech and Cheung, Vicki and Radford, Alec and "
            "Chen, Xi",
            title="Improved Techniques for Training {GANs}",
            booktitle=NEURIPS,
            year="2016",
        ),
        _entry(
            "inproceedings",
            "nash2021",
            author="Nash, Charlie and Menick, Jacob and Dieleman, Sander and Battaglia, Peter",
            title="Generating Images with Sparse Representations",
            booktitle=ICML,
            year="2021",
        ),
        _entry(
            "misc",
            "nunn2021",
            author="Nunn, Eric J. and Khadivi, Pejman and Samavi, Shadrokh",
            title="Compound {Frechet} Inception Distance for Quality Assessment of {GAN} Created Images",
            eprint="2106.08575",
            archiveprefix="arXiv",
            year="2021",
        ),
        _entry(
            "inproceedings",
            "kynkaanniemi2019",
            author='Kynk{\\"a}{\\"a}nniemi, Tuomas and Karras, Tero and Laine, Samuli and Lehtinen, Jaakko and '
            "Aila, Timo",
            title="Improved Precision and Recall Metric for Assessing Generative Models",
            booktitle=NEURIPS,
            year="2019",
        ),
        _entry(
            "inproceedings",
            "naeem2020",
            author="Naeem, Muhammad Ferjad and Oh, Seong Joon and Uh, Youngjung and Choi, Yunjey and Yoo, Jaejun",
            title="Reliable Fidelity and Diversity Metrics for Generative Models",
            booktitle=ICML,
            year="2020",
        ),
        _entry(
            "article",
            "wang2004",
            author="Wang, Zhou and Bovik, Alan C. and Sheikh, Hamid R. and Simoncelli, Eero P.",
            title="Image Quality Assessment: From Error Visibility to Structural Similarity",
            journal="IEEE Transactions on Image Processing",
            year="2004",
        ),
        _entry(
            "inproceedings",
            "wang2003",
            author="Wang, Zhou and Simoncelli, Eero P. and Bovik, Alan C.",
            title="Multiscale Structural Similarity for Image Quality Assessment",
            booktitle="Asilomar Conference on Signals, Systems and Computers",
            year="2003",
        ),
        _entry(
            "inproceedings",
            "zhang2018",
            author="Zhang, Richard and Isola, Phillip and Efros, Alexei A. and Shechtman, Eli and Wang, Oliver",
            title="The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
            booktitle=CVPR,
            year="2018",
        ),
        _entry(
            "inproceedings",
            "hessel2021",
            author="Hessel, Jack and Holtzman, Ari and Forbes, Maxwell and Le Bras, Ronan and Choi, Yejin",
            title="{CLIPScore}: A Reference-free Evaluation Metric for Image Captioning",
            booktitle="Conference on Empirical Methods in Natural Language Processing",
            year="2021",
        ),
        _entry(
            "inproceedings",
            "ghosh2023",
            author="Ghosh, Dhruba and Hajishirzi, Hannaneh and Schmidt, Ludwig",
            title="{GenEval}: An Object-Focused Framework for Evaluating Text-to-Image Alignment",
            booktitle=NEURIPS,
            year="2023",
        ),
        _entry(
            "misc",
            "kamath2025",
            author="Kamath, Amita and Chang, Kai-Wei and Krishna, Ranjay and Zettlemoyer, Luke and Hu, Yushi and "
            "Ghazvininejad, Marjan",
            title="{GenEval} 2: Addressing Benchmark Drift in Text-to-Image Evaluation",
            eprint="2512.16853",
            archiveprefix="arXiv",
            year="2025",
        ),
        _entry(
            "inproceedings",
            "szegedy2016",
            author="Szegedy, Christian and Vanhoucke, Vincent and Ioffe, Sergey and Shlens, Jon and Wojna, Zbigniew",
            title="Rethinking the {Inception} Architecture for Computer Vision",
            booktitle=CVPR,
            year="2016",
        ),
        _entry(
            "inproceedings",
            "parmar2022",
            author="Parmar, Gaurav and Zhang, Richard and Zhu, Jun-Yan",
            title="On Aliased Resizing and Surprising Subtleties in {GAN} Evaluation",
            booktitle=CVPR,
            year="2022",
        ),
        _entry(
            "misc",
            "dufour2026",
            author="Dufour, Nicolas and Efros, Alexei A. and P{\\'e}rez, Patrick",
            title="The {FID} Lottery: Quantifying Hidden Randomness in Generative-Model Evaluation",
            eprint="2606.20536",
            archiveprefix="arXiv",
            year="2026",
        ),
        _entry(
            "article",
            "hanley2006",
            author="Hanley, James A. and MacGibbon, Brenda",
            title="Creating Non-parametric Bootstrap Samples Using {Poisson} Frequencies",
            journal="Computer Methods and Programs in Biomedicine",
            year="2006",
        ),
        _entry(
            "inproceedings",
            "xiao2022",
            author="Xiao, Zhisheng and Kreis, Karsten and Vahdat, Arash",
            title="Tackling the Generative Learning Trilemma with Denoising Diffusion {GANs}",
            booktitle=ICLR,
            year="2022",
        ),
    ]
)
"""Key -> entry."""


def entries(keys: Iterable[str]) -> str:
    """The entries of these keys, each once, in the order of ENTRIES."""
    wanted = set(keys)
    return "\n\n".join(entry for key, entry in ENTRIES.items() if key in wanted)
