"""Rewards from a judge model behind any OpenAI-compatible server, recorded so that they can be had again without it.

transcript -> template.py -> request.py -> record.py  (asked before? then the answer that stands there)
                                        -> client.py  (else the server: retries, concurrency, budget)
           -> verdict.py  -> Grade | Ungraded
"""
