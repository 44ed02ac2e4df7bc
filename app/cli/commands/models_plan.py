"""`tok models plan`: how a model would be loaded on this machine now, without loading it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.common import console
from app.cli.common.completion import complete_model
from app.cli.common.exit_codes import ExitCode
from app.cli.common.options import DraftModel
from app.domain.errors import EngineLostError, ModelError

if TYPE_CHECKING:
    # Only for signatures: at run time each is imported when it is needed.
    from app.domain.fit import LoadPlan, Share
    from app.models.gguf import GgufHeader

_MIB = 1 << 20


def plan(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="Model: a name from `tok models`, or the path of a GGUF file.",
            autocompletion=complete_model,
            show_default=False,
        ),
    ] = None,
    draft: DraftModel = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, sizes in bytes.")] = False,
) -> int:
    """Show how a model would be loaded here. Nothing is loaded."""
    from pathlib import Path

    from app.config.catalogue import load_catalogue
    from app.config.settings import load_settings
    from app.models.gguf import model_sizes, plan_load, read_header
    from app.models.locate import locate
    from app.protocol.events import Hello

    settings = load_settings().settings
    located = locate(name or settings.model, load_catalogue(), settings.models_dir, draft)
    if located.options.remote:
        raise ModelError(f"a server runs {located.name}: nothing is loaded here", "`tok models` lists the models.")
    header = read_header(located.path)
    hello = context.obj.greet()
    if not isinstance(hello, Hello):
        raise EngineLostError(f"the engine did not start: {hello.reason}")
    planned = plan_load(located.sizes or model_sizes(header), hello.devices, located.options)
    if as_json:
        adapters = [{"name": each.name, "path": each.path, "scale": each.scale} for each in located.options.lora]
        beside = {"draft": located.options.draft, "draft_device": _draft_device(planned), "adapters": adapters}
        console.print_json(_object(located.name, header, planned) | beside, indent=2)
    else:
        _print(located.title, header, planned)
        for adapter in located.options.lora:
            size = Path(adapter.path).stat().st_size
            console.print_line(f"+ adapter {adapter.name} ×{adapter.scale:g}: {_mib(size)} MiB, among the weights")
        if located.options.draft:
            size = sum(share.memory.draft_bytes for share in planned.shares)
            name, device = Path(located.options.draft).name, _draft_device(planned)
            console.print_line(f"+ draft model {name} on {device}: {_mib(size)} MiB, among the totals")
    return ExitCode.OK


def _print(title: str, header: GgufHeader, plan: LoadPlan) -> None:
    from app.cli.common.console import print_table

    slots = f"{plan.n_slots} resident conversation{'s' if plan.n_slots != 1 else ''}"
    room = f"room for {plan.max_n_ctx:,} tokens each" if plan.max_n_ctx else "no room left"
    console.print_line(
        f"{title}: {header.quant}, {_mib(header.size_bytes)} MiB, trained on {header.n_ctx_train:,} tokens"
    )
    console.print_line(f"window: {plan.n_ctx:,} tokens × {slots} ({room})")
    console.print_line(f"layers on a GPU: {plan.n_gpu_layers} of {plan.n_layers}, output layer included\n")
    has_draft = any(share.memory.draft_bytes for share in plan.shares)
    draft = ("DRAFT MiB",) if has_draft else ()
    sizes = ("WEIGHTS MiB", "KV MiB", "SCRATCH MiB", *draft, "TOTAL MiB", "USABLE MiB", "FREE MiB")
    print_table(
        ("DEVICE", "KIND", "LAYERS", *sizes),
        [_cells(share, has_draft=has_draft) for share in plan.shares],
    )
    for line in (*plan.shortfalls, *plan.warnings):
        console.print_line(f"! {line}")


def _draft_device(plan: LoadPlan) -> str | None:
    """The device with most of the draft model: a GPU has all of it but its token embeddings."""
    memory = max((share.memory for share in plan.shares), key=lambda memory: memory.draft_bytes)
    return memory.name if memory.draft_bytes else None


def _cells(share: Share, *, has_draft: bool) -> tuple[str, ...]:
    memory = share.memory
    draft_bytes = (memory.draft_bytes,) if has_draft else ()
    sizes = (share.weight_bytes, share.kv_bytes, share.compute_bytes, *draft_bytes, share.total_bytes)
    return (
        memory.name,
        memory.kind,
        str(share.n_layers),
        *map(_mib, (*sizes, memory.usable_bytes, memory.free_bytes)),
    )


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / _MIB:,.0f}"


def _object(name: str, header: GgufHeader, plan: LoadPlan) -> dict[str, Any]:
    return {
        "model": name,
        "path": str(header.path),
        "quant": header.quant,
        "size_bytes": header.size_bytes,
        "n_gpu_layers": plan.n_gpu_layers,
        "n_layers": plan.n_layers,
        "tensor_split": list(plan.tensor_split),
        "n_ctx": plan.n_ctx,
        "n_ctx_train": header.n_ctx_train,
        "max_n_ctx": plan.max_n_ctx,
        "n_slots": plan.n_slots,
        "fits": plan.fits,
        "devices": [
            {
                "name": share.memory.name,
                "kind": share.memory.kind,
                "n_layers": share.n_layers,
                "weight_bytes": share.weight_bytes,
                "kv_bytes": share.kv_bytes,
                "compute_bytes": share.compute_bytes,
                "draft_bytes": share.memory.draft_bytes,
                "free_bytes": share.memory.free_bytes,
                "usable_bytes": share.memory.usable_bytes,
            }
            for share in plan.shares
        ],
        "notices": [*plan.shortfalls, *plan.warnings],
    }
