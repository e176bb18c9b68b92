"""GANs that draw what a sentence says, on birds and COCO: StackGAN++, AttnGAN, DM-GAN, DF-GAN, SSA-GAN."""
