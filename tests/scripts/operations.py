# SPDX-License-Identifier: MIT
"""What an operator is given, against what the library really exposes: alert rules, dashboard, runbooks, the pages of the endpoint, a scrape by a real
Prometheus. usage: operations.py ROOT SERVE

What needs promtool or prometheus is skipped with a word where it is not installed."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from cases import exit_code, report

from redis_process import die_with_parent

root, serve = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
folder = root / "docs" / "operations"


def get(url):
    """(status, content type, body) of a page."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def families(text):
    return {name: kind for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M)}


def names(expression, known):
    """The names of metrics in an expression that are none of `known`."""
    plain = re.sub(r'"(?:[^"\\]|\\.)*"|\{[^}]*\}|\[[^\]]*\]', " ", re.sub(r"\b(?:by|on|without|ignoring)\s*\([^)]*\)", " ", expression))
    for name in re.findall(r"[a-z]\w*_\w+", plain):
        base = re.sub(r"_(?:bucket|sum|count)$", "", name)
        if name not in known and not (known.get(base) == "histogram") and name not in ("label_values", "histogram_quantile"):
            yield name


def listening(pid):
    """Where a process listens, or None: it was told port 0, and its log repeats that."""
    try:
        sockets = {os.readlink(fd) for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return None  # it opened or closed one meanwhile
    for row in pathlib.Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        words = row.split()
        if words[3] == "0A" and f"socket:[{words[9]}]" in sockets:
            return f"http://127.0.0.1:{int(words[1].split(':')[1], 16)}"
    return None


server = subprocess.Popen([serve], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
base = f"http://127.0.0.1:{server.stdout.readline().strip()}"
status, kind, text = get(base + "/metrics")
known = families(text)
report("a scrape succeeds, and says its format", [] if (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8") and len(known) > 15 else [f"{status} {kind}"])

# docs/reference/metrics.md has each family, and none besides.
page = (root / "docs/reference/metrics.md").read_text()
told = set(re.findall(r"`((?:pulse|rate|pipeline)_\w+)`", "\n".join(line for line in page.splitlines() if line.startswith("| `"))))
report("the reference names every family, and none that is not there", [f"not in the page: {n}" for n in sorted(known.keys() - told)] +
       [f"not exposed: {n}" for n in sorted(told - known.keys())])

status, kind, text = get(base + "/health")
health = json.loads(text)
shape = {"service": str, "state": str, "components": list, "version": str, "ts": float}
problems = [f"{name}: {type(health.get(name)).__name__}" for name, wanted in shape.items() if not isinstance(health.get(name), wanted)]
problems += [f"state {part.get('state')}" for part in [health, *health["components"]] if part.get("state") not in ("healthy", "degraded", "unhealthy")]
problems += [f"component {part}" for part in health["components"] if set(part) != {"name", "state", "details"} or not all(isinstance(v, str) for v in part["details"].values())]
report("health has the shape of the registry's HealthStatus", problems + ([] if (status, kind, set(health)) == (200, "application/json", set(shape)) else [text]))
schema = next(pathlib.Path(os.environ.get("PULSE_THIRD_PARTY", "/nonexistent")).glob("wire/*HealthStatus*.schema.json"), None)
if schema is None:
    print("skipped: the registry's schema of HealthStatus is not here")
else:
    wanted = json.loads(schema.read_text())
    report("health keeps the registry's schema", [f"{name} is missing" for name in wanted.get("required", []) if name not in health] +
           [f"{name} is not in the schema" for name in health if name not in wanted["properties"]])

alerts = {}
for block in (folder / "alerts.yml").read_text().split("- alert: ")[1:]:
    name = block.split("\n")[0]
    alerts[name] = {key: value.replace("''", "'") for key, value in re.findall(r"(expr|runbook_url|severity|summary|description): '?(.*?)'?$", block, re.M)}
report("alerts ask for what is exposed", [f"{alert}: {n}" for alert, rule in alerts.items() for n in names(rule["expr"], known)])
sections = {re.sub(r"[^\w]", "", heading).lower() for heading in re.findall(r"^## (.*)$", (root / "docs/how-to/runbooks.md").read_text(), re.M)}
report("each alert has its section in the runbooks, and each section its alert",
       [f"{alert}: {rule.get('runbook_url')}" for alert, rule in alerts.items() if rule.get("runbook_url") != f"docs/how-to/runbooks.md#{alert.lower()}" or alert.lower() not in sections] +
       [f"no alert: {section}" for section in sorted(sections - {alert.lower() for alert in alerts})])
command = re.search(r"^    (sed .*) > alerts.here.yml$", (root / "docs/how-to/watch-in-production.md").read_text(), re.M)[1]
fitted = subprocess.run(command, shell=True, cwd=folder, text=True, capture_output=True, check=True).stdout
report("the command that the page has puts an address before each of them",
       [alert for alert in alerts if f"'https://git.example.org/pulse/blob/main/docs/how-to/runbooks.md#{alert.lower()}'" not in fitted])
tests = (folder / "alerts_test.yml").read_text()
report("each alert is tested firing and silent", [f"{alert} {how}" for alert in alerts for how in ("fires", "is silent") if f"- name: {alert} {how}\n" not in tests])

dashboard = json.loads((folder / "dashboard.json").read_text())
expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
expressions += [variable["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
report("the dashboard asks for what is exposed", [f"{n} in {e}" for e in expressions for n in names(e, known)])
report("the dashboard shows every family", [n for n in sorted(known) if not any(n in e for e in expressions) and n not in ("pulse_start_timestamp_seconds", "pulse_component_degraded")])
boxes = [(p["gridPos"], p["title"]) for p in dashboard["panels"]]
report("no panel lies upon another, and each has a title", [f"{a[1]} and {b[1]}" for i, a in enumerate(boxes) for b in boxes[:i] if a[0]["y"] == b[0]["y"] and
                                                              abs(a[0]["x"] - b[0]["x"]) < min(a[0]["w"], b[0]["w"])] + [str(box) for box, title in boxes if not title])

if shutil.which("promtool") is None:
    print("skipped: promtool is not installed")
else:
    text = get(base + "/metrics")[2]
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
    # The name of pulse_lag_ms is that by which dashboards know it: its unit is the one thing that may be said.
    said = [line for line in (done.stdout + done.stderr).splitlines() if line.strip() and line != "pulse_lag_ms metric names should not contain abbreviated units"]
    report("promtool check metrics has nothing to say but of the name of pulse_lag_ms", said)
    done = subprocess.run(["promtool", "test", "rules", "alerts_test.yml"], cwd=folder, text=True, capture_output=True)
    report("promtool test rules", [] if done.returncode == 0 else (done.stdout + done.stderr).splitlines())
    with tempfile.TemporaryDirectory() as work:
        rules = "\n".join(f"      - record: panel:{i}\n        expr: {json.dumps(re.sub(r'[$]__rate_interval', '5m', e))}" for i, e in enumerate(expressions) if not e.startswith("label_values"))
        rules_file = pathlib.Path(work) / "panels.yml"
        rules_file.write_text(f"groups:\n  - name: panels\n    rules:\n{rules}\n")
        done = subprocess.run(["promtool", "check", "rules", rules_file], text=True, capture_output=True)
        report("every expression of the dashboard is one", [] if done.returncode == 0 else (done.stdout + done.stderr).splitlines())

if shutil.which("prometheus") is None:
    print("skipped: prometheus is not installed")
else:
    with tempfile.TemporaryDirectory() as work:
        config = pathlib.Path(work) / "prometheus.yml"
        config.write_text(f"global: {{scrape_interval: 200ms, evaluation_interval: 200ms}}\nrule_files: ['{folder / 'alerts.yml'}']\n"
                          f"scrape_configs: [{{job_name: pulse, static_configs: [{{targets: ['{base[7:]}']}}]}}]\n")
        log = open(pathlib.Path(work) / "log", "w+")
        prometheus = subprocess.Popen(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={work}/data", "--web.listen-address=127.0.0.1:0", "--log.level=info"],
                                      stdout=log, stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
        try:
            end = time.monotonic() + 120
            address = None
            while address is None and prometheus.poll() is None and time.monotonic() < end:
                address = listening(prometheus.pid)
                time.sleep(0.05)

            def query(expression):
                answer = json.loads(get(f"{address}/api/v1/query?" + urllib.parse.urlencode({"query": expression}))[2])
                return {tuple(sorted((k, v) for k, v in one["metric"].items() if k not in ("__name__", "instance", "job"))): float(one["value"][1]) for one in answer["data"]["result"]}

            found = {}
            while address and not found and time.monotonic() < end:
                try:
                    found = query("pulse_component_ready")
                except (urllib.error.URLError, ConnectionError):
                    pass
                time.sleep(0.05)
            report("a Prometheus scrapes the endpoint", [] if found else [log.seek(0) or log.read()[-3000:]])
            stream = ("stream", "mdp:mdp.telemetry.feedback")
            wanted = {
                'pulse_consume_total{track="v1",outcome="success"}': {(("outcome", "success"), stream, ("track", "v1")): 2.0},
                'pulse_consume_total{outcome="dead_letter"} > 0': {(("outcome", "dead_letter"), stream, ("track", "v1")): 1.0},
                'pulse_consume_total{outcome="error"} > 0': {(("outcome", "error"), stream, ("track", "v1")): 1.0},
                'pulse_publish_total{outcome="success"} > 0': {(("outcome", "success"), stream, ("track", "v1")): 4.0},
                "pulse_handler_seconds_count": {(stream,): 4.0},
                "rate_scale_current": {(("provider", "ibkr"),): 0.0},
                "pipeline_backpressure_state": {(("provider", "ibkr"),): 2.0},
                'pipeline_feedback_queue_depth{source="store"}': {(("source", "store"),): 990.0},
                "pulse_component_ready": {(("component", "consumer"),): 1.0, (("component", "bus"),): 1.0},
                "up": {(): 1.0},
            }
            report("its query API has the series, with their values", [f"{e}: {got}" for e, expected in wanted.items() if (got := query(e) if found else None) != expected])
            rules = json.loads(get(f"{address}/api/v1/rules")[2])["data"]["groups"][0]["rules"] if found else []
            report("it takes every alert rule", [] if len(rules) == len(alerts) and all(rule["health"] in ("ok", "unknown") for rule in rules) else [str([(r["name"], r["health"]) for r in rules])])
        finally:
            prometheus.terminate()
            try:
                prometheus.wait(timeout=30)
            except subprocess.TimeoutExpired:
                prometheus.kill()
                prometheus.wait()
            log.close()

server.stdin.write("cost 200\n")
server.stdin.flush()
micros, size, series = server.stdout.readline().split()
print(f"a scrape of {series} series, {size} bytes: {float(micros):.0f} us")
server.stdin.close()
report("the server ends by itself", [] if server.wait(timeout=60) == 0 else [str(server.returncode)])
sys.exit(exit_code())
