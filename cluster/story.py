"""The life of a model on a real Kubernetes, told with kubectl: a training in a Job, the stable address, a promotion under live traffic by
somebody who may, refused to somebody who may not, a defect that its gate takes back, customers who change. Every claim is checked."""
import json
import subprocess
import tempfile
import pathlib
import time

from . import settings
from .settings import Failed, programs
from .stage import MODEL, SHOP, SYSTEM, Claims, Customers, Kubectl, Store, ask, ask_patiently, condition, get, tool

RATE = 8
PATIENCE_S = 600


def step(text):
    print(f"\n== {text}", flush=True)


def tell(text):
    print(f"   {text}", flush=True)


class Story:
    def __init__(self, admin, folder, tag, cluster):
        self.admin, self.folder, self.tag, self.cluster = admin, pathlib.Path(folder), tag, cluster
        self.claims, self.store = Claims(), Store(self.folder / "s3")
        self.data = self.folder / "data"
        self.seed = 10
        self.said = set()

    # ---- what stands around it

    def news(self):
        """Events of the model and its versions that were not shown yet."""
        events = self.admin.json("get", "events.events.k8s.io", "-n", SHOP)["items"]
        events.sort(key=lambda one: one.get("eventTime") or "")
        for event in events:
            if event.get("reportingController") != "endcap.dev/operator" or event["metadata"]["uid"] in self.said:
                continue
            self.said.add(event["metadata"]["uid"])
            mark = "!" if event["type"] == "Warning" else " "
            tell(f"{mark} {event['reason']:<18} {event['note'][:150]}")

    def until(self, what, done, patience_s=PATIENCE_S):
        """Looks until `done(model)`, and tells meanwhile what happens."""
        began, shown = time.monotonic(), -10
        while time.monotonic() - began < patience_s:
            model = self.admin.model()
            self.news()
            found = done(model)
            if found:
                return found
            training = model.get("status", {}).get("training", {})
            percent = training.get("progressPercent")
            if percent is not None and percent // 25 != shown // 25:
                shown = percent
                tell(f"  {training['version']} is {percent}% trained")
            time.sleep(1)
        self.claims.check(f"{what} within {patience_s} s", False)
        return None

    def customers(self, fashion=False, seconds=None):
        self.seed += 1
        return Customers(self.url, self.data, RATE, self.seed, fashion, seconds)

    def shopped(self, *reports):
        asked = sum(one["recommendations"]["requests"] for one in reports)
        failed = sum(sum(one["recommendation_errors"].values()) for one in reports)
        last = reports[-1]["recommendation_latency"]
        tell(f"{asked} questions; the last ones answered in {last['p50_ms']:.1f} ms (median), {last['p99_ms']:.1f} ms (99th percentile)")
        self.claims.check(f"every one of {asked} questions was answered, none failed", failed == 0 and asked > 0)

    def trained(self, name):
        def is_over(_):
            found = self.admin.run("get", "recmv", name, "-n", SHOP, "-o", "jsonpath={.status.phase}", check=False).stdout
            return found if found in ("Ready", "Failed") else None
        phase = self.until(f"{name} was trained", is_over)
        self.claims.check(f"{name} was trained in a Job and is Ready", phase == "Ready")

    def click_through(self, version, since, until):
        figures = get(f"{self.insights()}/v1/arms?from={since}&to={until}")
        for arm in figures["arms"]:
            for metric in arm["metrics"]:
                if arm["version"] == version and metric["metric"] == "Ctr" and metric.get("value") is not None:
                    return metric["value"], metric["standard_error"], metric["n"]
        return None

    def insights(self):
        pod = self.admin.json("get", "pod", f"{MODEL}-insights-0", "-n", SHOP)
        return f"http://{pod['status']['podIP']}:8080"

    # ---- the chapters

    def install(self):
        step("The chart is installed; the model's store holds its sales data")
        values = ["--set", f"image.tag={self.tag}", "--set", "image.pullPolicy=Never", "--set", f"storeEgress[0].ports[0].port={7070}"]
        subprocess.run([tool("helm"), "upgrade", "--install", "endcap", str(settings.source().parent / "charts/endcap"), "--kubeconfig", self.admin.kubeconfig,
                        "-n", SYSTEM, "--create-namespace", "--wait", "--timeout", "120s", *values], check=True, stdout=subprocess.DEVNULL)
        self.admin.run("get", "pods", "-n", SYSTEM, shown=True)
        # New kinds are served a moment after they are established.
        served = ("get", "recm,recmv,recpp,recexp", "-A")
        end = time.monotonic() + 30
        while self.admin.run(*served, check=False).returncode != 0 and time.monotonic() < end:
            time.sleep(0.5)
        start = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 180 * 86400))
        subprocess.run([str(programs() / "endcap"), "data", "generate", "--customers", "1500", "--products", "400", "--days", "180", "--start", start,
                        "--out", str(self.data)], check=True, stdout=subprocess.DEVNULL)
        self.store.start()
        self.store.put_folder(self.data, "data")
        ready = self.admin.run("get", "deploy", "endcap-operator", "-n", SYSTEM, "-o", "jsonpath={.status.readyReplicas}").stdout
        self.claims.check("two operators run, restricted, one of them leads", ready == "2")
        tested = subprocess.run([tool("helm"), "test", "endcap", "--kubeconfig", self.admin.kubeconfig, "-n", SYSTEM, "--timeout", "60s"],
                                capture_output=True, text=True, check=False)
        self.claims.check("helm test: a pod of the image finds the operator ready", tested.returncode == 0)

    def people(self):
        self.admin.run("create", "namespace", SHOP)
        self.admin.run("label", "namespace", SHOP, "pod-security.kubernetes.io/enforce=restricted")
        keys = {"AWS_ACCESS_KEY_ID": "endcap", "AWS_SECRET_ACCESS_KEY": "endcap-secret", "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT": f"http://{settings.ADDRESS}:7070"}
        self.admin.run("create", "secret", "generic", "shop-store", "-n", SHOP, *[f"--from-literal={key}={value}" for key, value in keys.items()])
        for name, role in (("maria", "endcap-promoter"), ("ivan", "endcap-edit")):
            self.admin.run("create", "rolebinding", name, "-n", SHOP, f"--clusterrole={role}", f"--user={name}")
        self.admin.run("create", "rolebinding", "maria-sees", "-n", SHOP, "--clusterrole=endcap-view", "--user=maria")
        self.maria = Kubectl(self.cluster.user("maria", []), "maria")
        self.ivan = Kubectl(self.cluster.user("ivan", []), "ivan")

    def first_version(self):
        step("A model is applied: it trains in a Job and serves at one stable address")
        examples = settings.source().parent / "examples" / "cluster"
        self.admin.run("apply", "-n", SHOP, "-f", str(examples), shown=True)
        began = time.monotonic()
        self.until("the model was ready", lambda model: condition(model, "Ready")["status"] == "True")
        tell(f"ready after {time.monotonic() - began:.0f} s")
        self.admin.run("get", "recm,recmv", "-n", SHOP, shown=True)
        self.admin.run("get", "pods", "-n", SHOP, shown=True)
        model = self.admin.model()
        self.claims.check("shop-v1 serves everybody", model["status"].get("activeVersion") == f"{MODEL}-v1")
        address = self.admin.json("get", "service", MODEL, "-n", SHOP)["spec"]["clusterIP"]
        self.url = f"http://{address}"
        answer = ask_patiently(self.url, {"placement": "order_entry", "session_id": "first", "cart": [], "limit": 5})
        tell(f"an OMS asks {model['status']['url']}:")
        for item in answer["items"]:
            tell(f"  {item['rank']}. {item['name'][:40]:<40} {item['kind']:<12} {item['reason']['text']}")
        self.claims.check("an order with an empty cart gets five recommendations, each with its reason",
                          len(answer["items"]) == 5 and all(item["reason"]["text"] for item in answer["items"]))

    def promotion(self):
        step("Customers shop; v2 learns from what they did. Ivan may edit, Maria may promote")
        first = self.customers(seconds=20).child
        text, _ = first.communicate()
        self.ivan.patch({"retraining": {"trigger": "with-feedback"}})
        self.trained(f"{MODEL}-v2")
        refused = self.ivan.patch({"promotedVersion": f"{MODEL}-v2"}, check=False)
        self.claims.check("Ivan is refused, and told which right is missing", refused.returncode != 0 and "promote" in refused.stderr)
        crowd = self.customers()
        self.maria.patch({"promotedVersion": f"{MODEL}-v2"})
        self.until("v2 was promoted", lambda model: model["status"].get("activeVersion") == f"{MODEL}-v2" and condition(model, "PromotionComplete")["status"] == "True")
        waited = self.maria.run("wait", f"recm/{MODEL}", "-n", SHOP, "--for=condition=PromotionComplete", "--timeout=60s", check=False, shown=True)
        self.claims.check("kubectl wait ends when the promotion is complete", waited.returncode == 0)
        self.shopped(json.loads(text), crowd.stop())
        model = self.admin.model()
        history = model["status"]["history"][0]
        self.claims.check(f"the history says who did it: {history.get('by')}", history.get("by") == "maria" and history["outcome"] == "Promoted")
        one, two = (self.admin.version(f"{MODEL}-v{n}")["status"]["dataset"]["rows"] for n in (1, 2))
        self.claims.check(f"v2 learned from {two} order lines, {two - one} more than v1: the customers' own", two > one)

    def defect(self):
        step("A defect: a new source gives prices in pence instead of pounds. v3 learns from it, and its gate takes it back")
        source = self.admin.model()["spec"]["data"]["sources"][0]
        columns = ["product_id", "name", "category_id", "subcategory_id", "brand_id", "unit"]
        wrong = {"name": "prices", "layout": "Custom", "provides": ["Products"],
                 "object": {**source["object"], "uri": source["object"]["uri"] + "/products.parquet"},
                 "columns": {**{column: column for column in columns}, "list_price": "CAST(list_price * 100 AS DECIMAL(18, 4))", "active": "active"}}
        right = {**source, "provides": ["Orders", "OrderLines", "Customers"]}
        self.ivan.patch({"data": {"sources": [right, wrong]}, "retraining": {"trigger": "prices-in-pence"}}, shown=False)
        tell("ivan$ kubectl patch recm shop ... a second source with list_price * 100")
        self.trained(f"{MODEL}-v3")
        passed = condition(self.admin.version(f"{MODEL}-v3"), "GatesPassed")
        self.claims.check(f"offline nothing was wrong: {passed['message'][:100]}", passed["status"] == "True")
        crowd = self.customers()
        self.maria.patch({"promotedVersion": f"{MODEL}-v3"})
        rejected = self.until("v3 was taken back", lambda model: [one for one in model["status"].get("rejectedVersions", []) if one["version"] == f"{MODEL}-v3"], 180)
        self.shopped(crowd.stop())
        if rejected:
            self.claims.check(f"its gate took it back with nobody's help: {rejected[0]['reason'][:120]}", True)
        model = self.until("v2 served everybody again", lambda model: model if not model["status"].get("rollout") else None, 60) or self.admin.model()
        self.claims.check("v2 serves everybody again, and the spec still says v3: Git is not contradicted",
                          model["status"]["activeVersion"] == f"{MODEL}-v2" and model["spec"].get("promotedVersion") == f"{MODEL}-v3")
        degraded = condition(model, "Degraded")
        self.claims.check(f"the model says so: {degraded['reason']}: {degraded['message'][:90]}", degraded["status"] == "True")
        self.ivan.patch({"data": {"sources": [source]}}, shown=False)
        self.maria.patch({"promotedVersion": f"{MODEL}-v2"})

    def drift(self):
        step("A fashion comes: customers like what nobody liked before. Nobody tells the system")
        status = self.admin.model()["status"]
        known, active = status["latestVersion"], status["activeVersion"]
        began = stamp()
        crowd = self.customers()
        time.sleep(62)
        calm = stamp()
        usual = self.click_through(active, began, calm)
        self.claims.check("as long as nothing changed, no drift was found", self.admin.model()["status"]["latestVersion"] == known)
        first = crowd.stop()
        crowd, changed = self.customers(fashion=True), stamp()
        version = self.until("drift was found", lambda model: model["status"]["latestVersion"] != known and model["status"]["latestVersion"], 200)
        second = crowd.stop()
        if not version:
            return
        trigger = self.admin.version(version)["spec"]["trigger"]
        self.claims.check(f"drift was found and {version} is being trained: {trigger['type']}, {trigger.get('reason', '')[:110]}", trigger["type"] == "Drift")
        low = self.click_through(active, changed, stamp())
        self.trained(version)
        crowd = self.customers(fashion=True)
        self.maria.patch({"promotedVersion": version})
        self.until(f"{version} was promoted", lambda model: model["status"].get("activeVersion") == version)
        promoted = stamp()
        time.sleep(30)
        again = self.click_through(version, promoted, stamp())
        self.shopped(first, second, crowd.stop())
        for what, figure in (("before", usual), (f"with the new tastes, {active}", low), (f"with the new tastes, {version}", again)):
            if figure:
                tell(f"click-through {what}: {100 * figure[0]:.1f}% (+-{196 * figure[1]:.1f}) of {figure[2]:.0f} lists")
        self.claims.check("click-through had fallen, and it rose again with the new version", surely(usual, low) and surely(again, low))
        self.admin.run("get", "recm,recmv", "-n", SHOP, shown=True)

    def tell_all(self):
        self.install()
        self.people()
        self.first_version()
        self.promotion()
        self.defect()
        self.drift()


def surely(above, below):
    """The difference is no chance."""
    if not above or not below:
        return False
    return above[0] - below[0] > 1.96 * (above[1] ** 2 + below[1] ** 2) ** 0.5


def stamp():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def tell_it(kubeconfig, tag, cluster, keep):
    """Tells the story; returns the exit code."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="endcap-story-") as folder:
        story = Story(Kubectl(kubeconfig), folder, tag, cluster)
        try:
            story.tell_all()
            claims = story.claims
            print(f"\n{claims.true} claims checked and true, {len(claims.false)} false; {time.monotonic() - began:.0f} s", flush=True)
            for claim in claims.false:
                print(f"   NOT TRUE: {claim}", flush=True)
            if keep and not claims.false:
                print(f"\nIt goes on until Ctrl-C: kubectl --kubeconfig {kubeconfig} get recm,recmv,pods -n {SHOP}", flush=True)
                try:
                    while True:
                        time.sleep(60)
                except KeyboardInterrupt:
                    pass
            return 1 if claims.false else 0
        except Failed:
            story.admin.run("get", "recm,recmv,jobs,pods", "-n", SHOP, shown=True, check=False)
            raise
        finally:
            story.store.stop()
