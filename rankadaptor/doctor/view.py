"""What the doctor says to a person: a table of parts, and the verdict under it."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rankadaptor.doctor.diagnosis import Diagnosis
from tuning.memory_plan.plan import gib


def diagnosis_view(found: Diagnosis) -> RenderableType:
    """Show what each part takes, and what would be chosen."""
    return Group(_head(found), _table(found), _chosen(found))


def _head(found: Diagnosis) -> Text:
    device = found.device
    return Text(
        f"{found.model}: {found.parameters:,} parameters in {found.dtype}, adapters of up to "
        f"{found.trainable:,}\n{device.name}: {gib(device.total)}, of which {gib(device.free)} "
        "are free"
    )


def _table(found: Diagnosis) -> Table:
    examples = found.micro or 1
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"a forward pass of {examples} x {found.sequence_length} tokens, at most",
        title_justify="left",
    )
    table.add_column("part")
    table.add_column("memory", justify="right")
    use = found.use
    for name, count in (
        ("weights", use.weights),
        ("adapters, gradients, optimiser", use.adapters),
        ("activations kept for the backward pass", use.activations),
        ("logits and loss, every token predicted", use.logits),
        ("workspace", use.workspace),
    ):
        table.add_row(name, gib(count))
    table.add_section()
    table.add_row("training in all", gib(use.total), style="bold")
    table.add_row("held-out loss beside weights and adapters", gib(found.held_out))
    return table


def _chosen(found: Diagnosis) -> Text:
    if not found.micro:
        return Text("not one example fits", style="bold red")
    said = f"micro-batch {found.micro}"
    if found.micro == found.asked:
        whose = "what the device is fast with" if found.is_automatic else "as the recipe says"
        chosen = Text(f"{said}, {whose}", style="bold green")
    else:
        text = f"{said} instead of {found.asked}: the same results but for rounding, in more passes"
        chosen = Text(text, style="bold yellow")
    if found.is_recomputed:
        why = "memory would run out, or passes be too small, if all was kept"
        chosen.append(f"\nblocks are computed twice, half as many operations more: {why}", "yellow")
    if found.is_automatic:
        tokens = f"{found.micro * found.sequence_length:,}"
        chosen.append(f"\nof shorter examples as many as have {tokens} tokens, padding included")
    if found.is_measured_in_parts:
        chosen.append("\nthe held-out loss takes fewer tokens at once than elsewhere", "yellow")
    return chosen
