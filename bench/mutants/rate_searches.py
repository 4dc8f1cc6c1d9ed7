"""Searches of rates: what is proposed, scored, recorded and asked."""

from collections.abc import Mapping
from types import MappingProxyType

from bench.mutants.mutant import Mutant

SPACE = "tests/unit/pruning/search/test_space.py"
CONTRACT = "tests/unit/pruning/search/test_contract.py"
EVOLUTION = "tests/unit/pruning/search/test_evolution.py"
PROGRESSION = "tests/unit/pruning/search/test_progression.py"
SCORER = "tests/unit/pruning/search/test_scorer.py"
SEARCHING = "tests/unit/pruning/search/test_searching.py"
REPLY = "tests/unit/pruning/search/test_reply.py"
SELF_PRUNER = "tests/unit/pruning/search/test_self_pruner.py"
CALLS = "tests/unit/pruning/search/test_calls.py"
ENDPOINT = "tests/unit/rankadaptor/rate_search/test_endpoint.py"
DISTANCE = "tests/unit/pruning/statistics/test_angular_distance.py"
IMPORTANCE = "tests/unit/pruning/rates/test_importance_mapping.py"

MUTANTS: Mapping[str, Mutant] = MappingProxyType(
    {
        "a search may win by removing less": Mutant(
            "pruning/search/space.py",
            "return self.removed(rates) >= self.least",
            "return True",
            SPACE,
        ),
        "one model is scored twice": Mutant(
            "pruning/search/run.py", "if key in self.known:", "if False:", CONTRACT
        ),
        "the answer is the last vector, not the best": Mutant(
            "pruning/search/run.py", "min(known, key=lambda one: one.loss)", "known[-1]", CONTRACT
        ),
        "a torn line stays in the record": Mutant(
            "pruning/search/record.py", "if torn:", "if False:", CONTRACT
        ),
        "the loser of a tournament is a parent": Mutant(
            "pruning/search/evolution.py",
            "population[min(drawn)]",
            "population[max(drawn)]",
            EVOLUTION,
        ),
        "ATP's steps are twice as far apart": Mutant(
            "pruning/search/progression.py", "PUBLISHED = 0.002", "PUBLISHED = 0.004", PROGRESSION
        ),
        "rates are scored on what was pruned before": Mutant(
            "pruning/search/scorer.py",
            "pruned = _shared_copy(self.model)",
            "pruned = self.model",
            SCORER,
        ),
        "the best is confirmed where it was chosen": Mutant(
            "pruning/search/searching.py",
            "_confirmation(scorer, found, unseen)",
            "_confirmation(scorer, found, searched)",
            SEARCHING,
        ),
        "rates above 1 are taken": Mutant(
            "pruning/search/reply.py", "0.0 <= value <= 1.0", "0.0 <= value", REPLY
        ),
        "a model that repeats the question has answered": Mutant(
            "pruning/search/self_pruner.py",
            "read(without_echo(reply.text, prompt))",
            "read(reply.text)",
            SELF_PRUNER,
        ),
        "rates that were mended count as taken": Mutant(
            "pruning/search/self_pruner.py",
            "self.replies.mended += 1",
            "self.replies.taken += 1",
            SELF_PRUNER,
        ),
        "a reply is given to another question": Mutant(
            "pruning/search/calls.py", "if recorded != prompt:", "if False:", CALLS
        ),
        "a key that comes back is kept": Mutant(
            "rankadaptor/rate_search/endpoint.py",
            "Reply(self._blanked(text)",
            "Reply(text",
            ENDPOINT,
        ),
        "only the wait for a byte is limited": Mutant(
            "rankadaptor/rate_search/endpoint.py",
            "asyncio.timeout(self._seconds)",
            "asyncio.timeout(None)",
            ENDPOINT,
        ),
        "a redirect is followed": Mutant(
            "rankadaptor/rate_search/endpoint.py",
            "trust_env=False)",
            "trust_env=False, follow_redirects=True)",
            ENDPOINT,
        ),
        "angles are in radians": Mutant(
            "pruning/statistics/angular_distance.py",
            ".clamp(-1.0, 1.0)) / math.pi",
            ".clamp(-1.0, 1.0))",
            DISTANCE,
        ),
        "the block that turns most loses most": Mutant(
            "pruning/rates/importance_mapping.py", "math.exp(-scale", "math.exp(scale", IMPORTANCE
        ),
        "shares may come to all of a block": Mutant(
            "pruning/rates/importance_mapping.py", "ratio / MARGIN / (", "ratio / (", IMPORTANCE
        ),
    }
)
