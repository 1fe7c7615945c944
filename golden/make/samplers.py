"""Makes golden/samplers.safetensors and golden/samplers.json: what diffusers' own schedulers do with given noise.

Run from the root of the repository: python golden/make/samplers.py
Made with torch 2.13.0 and diffusers 0.42.1 on a CPU.

The network is out = 0.3 x + 0.1 cos(0.01 t) + 0.4 offset on the variance-preserving latent x, whatever the scheduler
takes it to predict (eps, v or x0). Every trace starts from `x_init` ~ N(0,1); `noise[i]` is the noise of step i; the
stored x[i] is the latent after step i, divided by sqrt(1 + sigma^2) for the Euler schedulers, which keep it undivided.

Settings, all on the cosine betas unless the case says otherwise: "leading" timesteps with offset 1, as in the released
scheduler file. That keeps sigma away from the end of the cosine schedule, where it is 20,291. Cases that need a word:
- euler-ancestral-karras: diffusers' ancestral scheduler has no Karras spacing; it is given EulerDiscreteScheduler's.
- euler-ancestral with x0 prediction: diffusers refuses it; the output is turned into eps before the step.
- dpm++*-karras: diffusers' multistep scheduler takes the ends of the whole schedule (sigma 20,291 first) and cuts times
  to whole numbers. Cases "*-karras-whole" are that, their `times` are what the network was told; cases "*-karras" are
  given EulerDiscreteScheduler's ladder, which is the one this project uses.
- ddim and ddpm clip x0 to [-1, 1], their default; the others do not limit it but for the case with "thresholding".
"""
import json
import os

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
)
from diffusers.schedulers import scheduling_ddpm, scheduling_euler_ancestral_discrete
from safetensors.torch import save_file

SHAPE = (2, 4, 6, 10)
STEPS = 6
PREDICTIONS = ("epsilon", "v_prediction", "sample")
BASE = dict(num_train_timesteps=1000, beta_schedule="squaredcos_cap_v2", timestep_spacing="leading", steps_offset=1)
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")

generator = torch.Generator().manual_seed(20260)
draw = lambda *shape: torch.randn(*shape, generator=generator)
tensors = {"offset": draw(*SHAPE), "x_init": draw(*SHAPE), "noise": draw(STEPS, *SHAPE)}
cases = []
given = iter(())  # the noise a scheduler gets when it draws


def draw_given(*args, **kwargs):
    return next(given)


scheduling_ddpm.randn_tensor = draw_given
scheduling_euler_ancestral_discrete.randn_tensor = draw_given


def network(x, t):
    return 0.3 * x + 0.1 * np.cos(0.01 * float(t)) + 0.4 * tensors["offset"]


def euler_karras(prediction):
    scheduler = EulerDiscreteScheduler(**BASE, prediction_type=prediction, use_karras_sigmas=True)
    scheduler.set_timesteps(STEPS)
    return scheduler.timesteps, scheduler.sigmas


def trace(name, sampler, spacing, scheduler, prediction, config=None, ladder=None, as_eps=False):
    global given
    scheduler.set_timesteps(STEPS)
    if ladder is not None:
        scheduler.timesteps, scheduler.sigmas = ladder
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)  # else equal timesteps (998 three times) make it start at the second of them
    exploding = isinstance(scheduler, (EulerDiscreteScheduler, EulerAncestralDiscreteScheduler))
    x = tensors["x_init"].clone()
    if exploding:
        x = x * (scheduler.sigmas[0] ** 2 + 1) ** 0.5
    given = iter(tensors["noise"])
    times, states = [], []
    for i, t in enumerate(scheduler.timesteps):
        scaled = scheduler.scale_model_input(x, t)
        out = network(scaled, t)
        if as_eps:
            sigma = float(scheduler.sigmas[i])
            signal = 1 / (1 + sigma**2) ** 0.5
            out = (scaled - signal * out) / (sigma * signal)
        extra = dict(variance_noise=tensors["noise"][i]) if isinstance(scheduler, DPMSolverMultistepScheduler) else {}
        x = scheduler.step(out, t, x, **extra).prev_sample
        scale = (1 + float(scheduler.sigmas[i + 1]) ** 2) ** 0.5 if exploding else 1.0
        times.append(float(t))
        states.append(x / scale)
    tensors[f"{name}/x"] = torch.stack(states).float()
    file = {**BASE, "prediction_type": prediction, **(config or {})}
    cases.append(dict(name=name, sampler=sampler, spacing=spacing, steps=STEPS, times=times, config=file))


for prediction in PREDICTIONS:
    kind = dict(prediction_type=prediction)
    karras = euler_karras(prediction)
    trace(f"ddim/{prediction}", "ddim", "uniform", DDIMScheduler(**BASE, **kind), prediction, dict(clip_sample=True))
    free = dict(clip_sample=False)
    for spacing in ("uniform", "karras"):
        scheduler = EulerDiscreteScheduler(**BASE, **kind, use_karras_sigmas=spacing == "karras")
        trace(f"euler-{spacing}/{prediction}", "euler", spacing, scheduler, prediction, free)
        as_eps = prediction == "sample"
        scheduler = EulerAncestralDiscreteScheduler(**BASE, prediction_type="epsilon" if as_eps else prediction)
        ladder = karras if spacing == "karras" else None
        trace(f"euler-ancestral-{spacing}/{prediction}", "euler-ancestral", spacing, scheduler, prediction, free, ladder, as_eps)
        for sampler, algorithm in (("dpm++2m", "dpmsolver++"), ("dpm++2m-sde", "sde-dpmsolver++")):
            scheduler = DPMSolverMultistepScheduler(**BASE, **kind, algorithm_type=algorithm)
            trace(f"{sampler}-{spacing}/{prediction}", sampler, spacing, scheduler, prediction, free, ladder)

v = dict(prediction_type="v_prediction")
for sampler, algorithm in (("dpm++2m", "dpmsolver++"), ("dpm++2m-sde", "sde-dpmsolver++")):
    scheduler = DPMSolverMultistepScheduler(**BASE, **v, algorithm_type=algorithm, use_karras_sigmas=True)
    trace(f"{sampler}-karras-whole", sampler, "karras-whole", scheduler, "v_prediction", dict(clip_sample=False))
threshold = dict(thresholding=True, dynamic_thresholding_ratio=0.9, sample_max_value=1.3)
trace("dpm++2m-threshold", "dpm++2m", "uniform", DPMSolverMultistepScheduler(**BASE, **v, **threshold), "v_prediction", threshold)
not_clean = dict(set_alpha_to_one=False)
trace("ddim-not-clean", "ddim", "uniform", DDIMScheduler(**BASE, **v, **not_clean), "v_prediction", not_clean)
for spacing in ("trailing", "linspace"):
    change = dict(timestep_spacing=spacing, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    for prediction in ("epsilon", "v_prediction"):
        scheduler = DDPMScheduler(**{**BASE, **change}, prediction_type=prediction)
        trace(f"ddpm-{spacing}/{prediction}", "ddpm", "uniform", scheduler, prediction, change)
    scheduler = DPMSolverMultistepScheduler(**{**BASE, **change}, **v)
    trace(f"dpm++2m-{spacing}", "dpm++2m", "uniform", scheduler, "v_prediction", {**change, "clip_sample": False})

# Schedules and grids
for name, settings in {
    "scaled_linear": dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012),
    "linear": dict(beta_schedule="linear", beta_start=0.0001, beta_end=0.02),
    "squaredcos_cap_v2": dict(beta_schedule="squaredcos_cap_v2"),
}.items():
    tensors[f"alphas_cumprod/{name}"] = DDPMScheduler(num_train_timesteps=1000, **settings).alphas_cumprod
grids = []
for spacing in ("leading", "trailing", "linspace"):
    for steps in (1, 2, 3, 7, 8, 13, 25, 30, 60, 333):
        for sampler, cls in (("ddpm", DDPMScheduler), ("ddim", DDIMScheduler), ("dpm++2m", DPMSolverMultistepScheduler)):
            scheduler = cls(**{**BASE, "timestep_spacing": spacing})
            scheduler.set_timesteps(steps)
            times = [int(t) for t in scheduler.timesteps]
            grids.append(dict(sampler=sampler, timestep_spacing=spacing, steps=steps, times=times))

# Guidance, its rescaling (Lin et al. 2023, equations 15 and 16) and dynamic threshold, in float64
conditional, unconditional = draw(*SHAPE), draw(*SHAPE)
conditional[1] *= 2.5
tensors["guidance/conditional"], tensors["guidance/unconditional"] = conditional, unconditional
for weight in (0.5, 3.0):
    guided = (1 + weight) * conditional.double() - weight * unconditional.double()
    tensors[f"guidance/w{weight:g}"] = guided.float()
    dims = (1, 2, 3)
    back = guided * conditional.double().std(dims, keepdim=True) / guided.std(dims, keepdim=True)
    tensors[f"guidance/w{weight:g}_rescale0.7"] = (0.7 * back + 0.3 * guided).float()
wide = draw(*SHAPE).double() * torch.tensor([0.2, 3.0], dtype=torch.float64).view(2, 1, 1, 1)
tensors["limit/x0"] = wide.float()
wide = tensors["limit/x0"].double()
for quantile in (0.95, 0.99, 0.995):
    bound = torch.quantile(wide.abs().flatten(1), quantile, dim=1).clamp(min=1).view(2, 1, 1, 1)
    tensors[f"limit/dynamic{quantile}"] = (wide.clamp(-bound, bound) / bound).float()
    bound = bound.clamp(max=1.5)
    tensors[f"limit/dynamic{quantile}_max1.5"] = (wide.clamp(-bound, bound) / bound).float()

save_file({name: value.contiguous() for name, value in tensors.items()}, os.path.join(HERE, "samplers.safetensors"))
with open(os.path.join(HERE, "samplers.json"), "w") as file:
    about = "golden/make/samplers.py; network: 0.3 x + 0.1 cos(0.01 t) + 0.4 offset"
    document = json.dumps(dict(about=about, cases=cases, grids=grids), separators=(",", ":"))
    file.write(document.replace('{"name"', '\n{"name"').replace('{"sampler":', '\n{"sampler":') + "\n")
