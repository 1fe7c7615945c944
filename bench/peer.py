"""The same work in diffusers: reads a job (see jobs.ts), prints seconds as JSON, writes outputs as safetensors.

Weights are widened to float32 tensor by tensor; nothing else of the model lies in memory twice. One pass of each
case is not timed.
"""
import json
import os
import sys
import time

JOB = json.load(open(sys.argv[1]))
os.environ["OMP_NUM_THREADS"] = str(JOB["threads"])
os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402
from safetensors import safe_open  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

torch.set_num_threads(JOB["threads"])
torch.set_grad_enabled(False)


def tell(line):
    print("bench: diffusers: " + line, file=sys.stderr, flush=True)


def config_of(part):
    with open(os.path.join(JOB["model"], part, "config.json")) as file:
        return json.load(file)


def load(part, make, file="diffusion_pytorch_model.safetensors"):
    """A module made without values that takes over the float32 copies of the file's."""
    with torch.device("meta"):
        module = make()
    with safe_open(os.path.join(JOB["model"], part, file), "pt") as stored:
        state = {name: stored.get_tensor(name).float() for name in stored.keys()}
    module.load_state_dict(state, assign=True)
    return module.eval()


def diffusers_model(name, part):
    import diffusers

    config = {key: value for key, value in config_of(part).items() if not key.startswith("_")}
    return load(part, lambda: getattr(diffusers, name)(**config))


def unet():
    model = diffusers_model("Kandinsky3UNet", "unet")

    def run(case, inputs):
        mask = torch.ones(case["batch"], case["tokens"])
        step = torch.tensor(case["times"][0])
        return model(inputs["sample"], step, inputs["hidden"], mask, return_dict=False)[0]

    return run


def movq():
    model = diffusers_model("VQModel", "movq")

    def run(case, inputs):
        if case["direction"] == "encode":
            return model.encode(inputs["image"]).latents
        return model.decode(inputs["latents"], force_not_quantize=True, return_dict=False)[0]

    return run


def text():
    from transformers import T5Config, T5EncoderModel

    config = T5Config(**config_of("text_encoder"))
    with torch.device("meta"):
        model = T5EncoderModel(config)
    with safe_open(os.path.join(JOB["model"], "text_encoder", "model.safetensors"), "pt") as stored:
        state = {name: stored.get_tensor(name).float() for name in stored.keys()}
    missing = model.load_state_dict(state, assign=True, strict=False)
    if missing.unexpected_keys or set(missing.missing_keys) - {"encoder.embed_tokens.weight"}:
        raise SystemExit(f"weights do not fit: {missing}")
    model.encoder.embed_tokens.weight = model.shared.weight
    model.eval()

    def run(case, inputs):
        return model(input_ids=inputs["ids"], attention_mask=torch.ones_like(inputs["ids"])).last_hidden_state

    return run


def nano():
    from diffusers import Kandinsky3Pipeline

    pipeline = Kandinsky3Pipeline.from_pretrained(JOB["model"], torch_dtype=torch.float32, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    # The pipeline takes every autoencoder for one of 8 pixels a cell.
    cell = 2 ** (len(pipeline.movq.config.block_out_channels) - 1)

    def run(case, inputs):
        picture = pipeline(
            case["prompt"],
            num_inference_steps=case["steps"],
            width=case["side"] * 8 // cell,
            height=case["side"] * 8 // cell,
            generator=torch.Generator().manual_seed(case["seed"]),
            output_type="np",
        ).images[0]
        return (torch.from_numpy(picture) * 255).round()

    return run


def steps():
    """Training steps as they are usually written: channels_last, AdamW, clipping, an average by foreach."""
    import resource

    model = diffusers_model("Kandinsky3UNet", "").train().to(memory_format=torch.channels_last)
    parameters = [parameter.requires_grad_() for parameter in model.parameters()]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-6, betas=(0.9, 0.99), eps=1e-8)
    averages = [parameter.detach().clone() for parameter in parameters]

    def step(case, inputs):
        mask = torch.ones(case["batch"], case["tokens"])
        sample = inputs["sample"].to(memory_format=torch.channels_last)
        with torch.enable_grad():
            optimizer.zero_grad(set_to_none=True)
            times = inputs["timesteps"][0]
            output = model(sample, times, inputs["encoder_hidden_states"], mask, return_dict=False)[0]
            loss = ((output - inputs["target"]) ** 2).mean()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        torch._foreach_lerp_(averages, parameters, 1 - 0.5 ** (case["batch"] / 10_000))
        return loss.item()

    results = []
    with safe_open(JOB["inputs"], "pt") as stored:
        for case in JOB["cases"]:
            tell(case["name"])
            prefix = case["name"] + "/"
            inputs = {key[len(prefix):]: stored.get_tensor(key) for key in stored.keys() if key.startswith(prefix)}
            losses, seconds = [step(case, inputs)], []
            for _ in range(case["repeats"]):
                start = time.perf_counter()
                losses.append(step(case, inputs))
                seconds.append(time.perf_counter() - start)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            results.append({"name": case["name"], "seconds": seconds, "losses": losses, "peakBytes": peak})
    print(json.dumps(results))


KINDS = {"unet": unet, "movq": movq, "text": text, "nano": nano}


def main():
    if JOB["kind"] == "step":
        return steps()
    start = time.perf_counter()
    run = KINDS[JOB["kind"]]()
    tell(f"loaded in {time.perf_counter() - start:.1f} s")
    outputs, results = {}, []
    with safe_open(JOB["inputs"], "pt") as stored:
        for case in JOB["cases"]:
            tell(case["name"])
            prefix = case["name"] + "/"
            inputs = {key[len(prefix):]: stored.get_tensor(key) for key in stored.keys() if key.startswith(prefix)}
            outputs[case["name"]] = run(case, inputs).float().contiguous()
            seconds = []
            for _ in range(case["repeats"]):
                start = time.perf_counter()
                run(case, inputs)
                seconds.append(time.perf_counter() - start)
            results.append({"name": case["name"], "seconds": seconds})
    save_file(outputs, JOB["outputs"])
    print(json.dumps(results))


main()
