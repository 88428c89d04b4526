"""The prose of `--help`."""

WHAT, DATA, HOW, RUNNING = "What", "Data", "How", "Running"


def page(text: str) -> str:
    """Return ``text`` with one line a paragraph, which the help page wraps itself."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


ROUNDHOUSE = page("""
Turn a vision-language model into verified INT4 checkpoints.

One recipe in: a model, calibration data, a grid.  Out come checkpoints in the auto_round and
auto_gptq formats, read back and compared bit for bit before anybody may use them.  Blocks are kept
as they are finished: a run that was stopped goes on from there when the same command is given.

Start with [bold]roundhouse demo[/bold].
""")

EXIT_CODES = page("""
[bold]Exit codes[/bold]: 0 done; 1 an unforeseen error; 2 a flag or a recipe does not say what it
must; 3 the model or the data cannot be used; 4 a checkpoint or a store is not sound; 5 disk,
permission, network, server, or an output folder in use; 6 the gate refused a checkpoint; 7 the gate
is not sure, and a person must decide; 130 interrupted (SIGINT); 143 terminated (SIGTERM).
""")

QUANTIZE_EXAMPLES = page("""
[bold]Examples[/bold]

roundhouse quantize --model Qwen/Qwen2-VL-7B-Instruct --calibration pile --output-dir out

roundhouse quantize --model ./my-model --calibration rows.json --images ./pictures
--nsamples 128 --seqlen 1024 --iters 200 --device cuda --output-dir out

roundhouse quantize --model ./my-model --iters 0 --output-dir out   (round to nearest)

The model is read block by block: memory is about one block and the activations of the samples.
""")

RUN_EXAMPLES = page("""
[bold]Examples[/bold]

roundhouse run qwen2-vl-7b-instruct --set compute.device=cuda

roundhouse run my-recipe.yaml --set quantization.iters=200 --set calibration.pile.nsamples=64

roundhouse run my-recipe.yaml --set publish=null   (publish nothing)

[bold]Packaged recipes[/bold]: demo, qwen2-vl-7b-instruct.  Several calibration sets give several
variants, each in a folder of its name below export.output_dir.  Paths in a recipe are relative to
its file; those in --set, and in packaged recipes, to the current folder.
""")

INSPECT_EXAMPLES = page("""
[bold]Example[/bold]: roundhouse inspect out/auto_gptq --json

Exits with 0 if the checkpoint is sound, and with 4 if it is not.  16-bit checkpoints can be
inspected, too.
""")

DEMO_EXAMPLES = page("""
[bold]A faster look[/bold]: roundhouse demo --set quantization.iters=20

Writes generated texts, pictures and conversations below the workspace, quantizes the model once
for each kind of data, and compares both results with the 16-bit model on held-out text.
""")

SCORE_EXAMPLES = page("""
[bold]Examples[/bold]

roundhouse score --kind yes_no --benchmark POPE.tsv --predictions answers.jsonl

roundhouse score --kind mcq --benchmark MMBench_DEV_EN_V11.tsv --predictions answers.jsonl
--rules vlmevalkit-e8e78f05 --json scores.json

Every row of the table must be answered, once.  No judge model is asked: what the rules do not read
in an answer is wrong.
""")

EVALUATE_EXAMPLES = page("""
[bold]Examples[/bold]

roundhouse evaluate out/auto_round --baseline Qwen/Qwen2-VL-7B-Instruct --benchmarks tables
--json result.json

roundhouse evaluate out/pile/auto_round out/llava/auto_round --baseline packaged:demo
--benchmarks tables --tasks POPE,TextVQA_VAL --limit 100

Answers are kept below the workspace as they are given: the same command goes on behind the last
one, and the 16-bit model answers once for all its checkpoints.  With a baseline, the gate judges:
6 is refused, 7 is held for a person.
""")

COMPARE_EXAMPLES = page("""
[bold]Example[/bold]: roundhouse compare before.json after.json

Both must be of the same tables, rows and rules; scores are paired by question, intervals come from
a clustered bootstrap.  A file with several models needs a name: result.json:auto_round.
""")

TAG_EXAMPLES = page("""
[bold]Example[/bold]: roundhouse tag Qwen/Qwen2-VL-7B-Instruct main release/v1.2.0

A tag that fits the pattern of a recipe which is listened to starts its release.  Tags never move:
setting one again on the same commit changes nothing, on another commit it is refused.
""")

RELEASE_EXAMPLES = page("""
[bold]Examples[/bold]

roundhouse release qwen2-vl-7b-instruct --tag release/v1.2.0

roundhouse release my-recipe.yaml --tag release/v1.2.0 --repo acme/staging --approve-hold

What a tag starts by itself where [bold]roundhouse listen[/bold] runs, done by hand: on a source
repository the tagged commit is quantized, on a staging repository the tagged candidate is promoted.
A tag that was released is not released again.
""")

ROLLBACK_EXAMPLES = page("""
[bold]Example[/bold]: roundhouse rollback acme/Qwen2-VL-7B-Instruct-int4 --to v1.0.0

One commit on top of the branch, made by the Hub from what it holds; nothing is uploaded, nothing
is deleted, and every tag stays where it is.
""")

LISTEN_EXAMPLES = page("""
[bold]Example[/bold]: roundhouse listen qwen2-vl-7b-instruct --port 8450

Takes notices of a Hub's webhooks, looks at the watched repositories every five minutes, and runs
the releases that their tags ask for.  Listens on loopback; put TLS in front to take notices from
elsewhere, or leave the webhook out: the watcher alone misses nothing.  Stops on SIGTERM.
""")

UP_EXAMPLES = page("""
[bold]Examples[/bold]

roundhouse up

roundhouse up --recipe qwen2-vl-7b-instruct --recipe my-recipe.yaml --schedule "0 2 * * 6"

roundhouse up --devices 0,1 --host 0.0.0.0 --port 4200

Starts Prefect's server with its pages, one worker for each GPU (or the CPU), one for what hands out
their work, the workspace's Hub if a recipe publishes there, and for recipes that watch a
repository a receiver of webhooks.  [bold]roundhouse down[/bold] stops all of it.
""")

WORKER_EXAMPLES = page("""
[bold]Examples[/bold]

PREFECT_API_URL=https://server/api PREFECT_API_AUTH_STRING=... roundhouse worker --device 0

roundhouse worker --run-once   (a trial: connects, looks for work once, and ends)

The service is the one that PREFECT_API_URL names, or else that of the workspace.  SIGTERM, as of a
spot machine that is taken away, lets the run in hand put its block down; it goes on elsewhere.
""")

DOCTOR_EXAMPLES = page("""
[bold]Examples[/bold]

roundhouse doctor

roundhouse doctor --recipe my-recipe.yaml --json

Looks at versions, devices, disk, memory, the server and its processes, ports and clocks; with a
recipe, at its store and its Hub, too.  Starts nothing.  Ends with 5 where something will not do.
""")
