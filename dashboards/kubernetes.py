"""Dashboards of Kubernetes, from the kubelet's and kube-state-metrics' metrics."""

from panels import *

FOLDER = "Kubernetes"

R = "$__rate_interval"
CLUSTER = choice("cluster", "Cluster", "kube_node_info", "cluster")
C = 'cluster=~"$cluster"'
NAMESPACE = choice("namespace", "Namespace", f"kube_namespace_status_phase{{{C}}}", "namespace", multi=False)
N = f'{C},namespace="$namespace"'


def cpu(of, by):
    return f'sum by ({by}) (rate(container_cpu_usage_seconds_total{{{of},container!="",image!=""}}[{R}]))'


def memory(of, by):
    return f'sum by ({by}) (container_memory_working_set_bytes{{{of},container!="",image!=""}})'


def asked(resource, kind, of, by):
    return f'sum by ({by}) (kube_pod_container_resource_{kind}{{{of},resource="{resource}"}})'


def total(expr):
    return f"sum({expr})"


def cluster():
    allocatable = lambda resource: f'sum(kube_node_status_allocatable{{{C},resource="{resource}"}})'
    return dashboard(
        "k8s-cluster", "Cluster", "What the cluster has, what is asked for, and what is used.",
        gauge("Processor used", f"{total(cpu(C, 'cluster'))} / {allocatable('cpu')}"),
        gauge("Processor requested", f"{total(asked('cpu', 'requests', C, 'cluster'))} / {allocatable('cpu')}"),
        gauge("Memory used", f"{total(memory(C, 'cluster'))} / {allocatable('memory')}"),
        gauge("Memory requested", f"{total(asked('memory', 'requests', C, 'cluster'))} / {allocatable('memory')}"),
        stat("Nodes not ready", f'sum(kube_node_status_condition{{{C},condition="Ready",status!="true"}})', colours=rising(1, 2), h=6),
        stat("Pods not running", f'sum(kube_pod_status_phase{{{C},phase=~"Pending|Failed|Unknown"}})', colours=rising(1, 10), h=6),
        graph("Processor", (cpu(C, "namespace"), "{{namespace}}"), unit="none", stack=True),
        graph("Memory", (memory(C, "namespace"), "{{namespace}}"), unit="bytes", stack=True),
        table("Namespaces", ("Pods", f"count by (namespace) (kube_pod_info{{{C}}})", "short"), ("Processor", cpu(C, "namespace"), "none"), ("Processor requested", asked("cpu", "requests", C, "namespace"), "none"), ("Memory", memory(C, "namespace"), "bytes"), ("Memory requested", asked("memory", "requests", C, "namespace"), "bytes"), by=["namespace"]),
        tags=["kubernetes"], variables=[CLUSTER],
    )


def namespace():
    return dashboard(
        "k8s-namespace", "Namespace", "The pods of a namespace.",
        graph("Processor", (cpu(N, "pod"), "{{pod}}"), unit="none", stack=True),
        graph("Memory", (memory(N, "pod"), "{{pod}}"), unit="bytes", stack=True),
        table("Pods", ("Processor", cpu(N, "pod"), "none"), ("Requested", asked("cpu", "requests", N, "pod"), "none"), ("Memory", memory(N, "pod"), "bytes"), ("Memory requested", asked("memory", "requests", N, "pod"), "bytes"), ("Memory limit", asked("memory", "limits", N, "pod"), "bytes"), ("Restarts", f"sum by (pod) (kube_pod_container_status_restarts_total{{{N}}})", "short"), by=["pod"]),
        graph("Restarts", (f"sum by (pod) (increase(kube_pod_container_status_restarts_total{{{N}}}[{R}]))", "{{pod}}")),
        graph("Held back by limits", (f'sum by (pod) (rate(container_cpu_cfs_throttled_periods_total{{{N},container!=""}}[{R}])) / sum by (pod) (rate(container_cpu_cfs_periods_total{{{N},container!=""}}[{R}]))', "{{pod}}"), unit="percentunit"),
        tags=["kubernetes"], variables=[CLUSTER, NAMESPACE],
    )


def workload():
    of = f'{N},workload="$workload"'
    owner = f"namespace_workload_pod:kube_pod_owner:relabel{{{of}}}"
    joined = lambda expr: f"sum by (pod) ({expr} * on (cluster, namespace, pod) group_left () {owner})"
    return dashboard(
        "k8s-workload", "Workload", "One deployment, stateful set or daemon set, and its pods.",
        stat("Wanted", f'max(kube_deployment_spec_replicas{{{N},deployment="$workload"}} or kube_statefulset_replicas{{{N},statefulset="$workload"}} or kube_daemonset_status_desired_number_scheduled{{{N},daemonset="$workload"}})', w=6),
        stat("Ready", f'max(kube_deployment_status_replicas_ready{{{N},deployment="$workload"}} or kube_statefulset_status_replicas_ready{{{N},statefulset="$workload"}} or kube_daemonset_status_number_ready{{{N},daemonset="$workload"}})', w=6),
        stat("Restarts in an hour", total(joined(f"sum by (cluster, namespace, pod) (increase(kube_pod_container_status_restarts_total{{{N}}}[1h]))")), colours=rising(1, 5), w=6),
        stat("Pods", f"count({owner})", w=6),
        graph("Processor", (joined(cpu(N, "cluster, namespace, pod")), "{{pod}}"), unit="none", stack=True),
        graph("Memory", (joined(memory(N, "cluster, namespace, pod")), "{{pod}}"), unit="bytes", stack=True),
        graph("Received", (joined(f"sum by (cluster, namespace, pod) (rate(container_network_receive_bytes_total{{{N}}}[{R}]))"), "{{pod}}"), unit="Bps"),
        graph("Sent", (joined(f"sum by (cluster, namespace, pod) (rate(container_network_transmit_bytes_total{{{N}}}[{R}]))"), "{{pod}}"), unit="Bps"),
        log_lines("Log", '{namespace="$namespace", pod=~"$workload-.*"}'),
        tags=["kubernetes"], logs=True,
        variables=[CLUSTER, NAMESPACE, choice("workload", "Workload", f"namespace_workload_pod:kube_pod_owner:relabel{{{N}}}", "workload", multi=False)],
    )


def pod():
    of = f'{N},pod="$pod"'
    return dashboard(
        "k8s-pod", "Pod", "One pod, its containers and its log.",
        stat("Running", f'sum(kube_pod_status_phase{{{of},phase="Running"}})', w=6, colours=falling(1, 1)),
        stat("Ready", f'sum(kube_pod_status_ready{{{of},condition="true"}})', w=6, colours=falling(1, 1)),
        stat("Restarts", f"sum(kube_pod_container_status_restarts_total{{{of}}})", w=6, colours=rising(1, 5)),
        stat("Since", f"time() - kube_pod_start_time{{{of}}}", unit="s", w=6, graph="none"),
        graph("Processor", (cpu(of, "container"), "{{container}}"), (asked("cpu", "requests", of, "container"), "requested, {{container}}"), (asked("cpu", "limits", of, "container"), "limit, {{container}}"), unit="none"),
        graph("Memory", (memory(of, "container"), "{{container}}"), (asked("memory", "requests", of, "container"), "requested, {{container}}"), (asked("memory", "limits", of, "container"), "limit, {{container}}"), unit="bytes"),
        graph("Network", (f"sum(rate(container_network_receive_bytes_total{{{of}}}[{R}]))", "received"), (f"sum(rate(container_network_transmit_bytes_total{{{of}}}[{R}]))", "sent"), unit="Bps"),
        graph("Held back by limits", (f'sum by (container) (rate(container_cpu_cfs_throttled_periods_total{{{of},container!=""}}[{R}])) / sum by (container) (rate(container_cpu_cfs_periods_total{{{of},container!=""}}[{R}]))', "{{container}}"), unit="percentunit"),
        log_lines("Log", '{namespace="$namespace", pod="$pod"}'),
        tags=["kubernetes"], logs=True, variables=[CLUSTER, NAMESPACE, choice("pod", "Pod", f"kube_pod_info{{{N}}}", "pod", multi=False)],
    )


def node():
    of = f'{C},node="$node"'
    return dashboard(
        "k8s-node", "Node", "One node and the pods on it.",
        stat("Ready", f'sum(kube_node_status_condition{{{of},condition="Ready",status="true"}})', colours=falling(1, 1)),
        stat("Pods", f"count(kube_pod_info{{{of}}})"),
        gauge("Processor requested", f'{total(asked("cpu", "requests", of, "node"))} / sum(kube_node_status_allocatable{{{of},resource="cpu"}})', h=4),
        gauge("Memory requested", f'{total(asked("memory", "requests", of, "node"))} / sum(kube_node_status_allocatable{{{of},resource="memory"}})', h=4),
        stat("Processors", f'sum(kube_node_status_capacity{{{of},resource="cpu"}})', graph="none"),
        stat("Memory", f'sum(kube_node_status_capacity{{{of},resource="memory"}})', unit="bytes", graph="none"),
        graph("Processor", (cpu(of, "pod"), "{{pod}}"), unit="none", stack=True),
        graph("Memory", (memory(of, "pod"), "{{pod}}"), unit="bytes", stack=True),
        states("Conditions", (f'sum by (condition) (kube_node_status_condition{{{of},status="true"}})', "{{condition}}"), names=[(1, "true", "blue"), (0, "false", "#808080")]),
        tags=["kubernetes"], variables=[CLUSTER, choice("node", "Node", f"kube_node_info{{{C}}}", "node", multi=False)],
    )


def network():
    rates = lambda metric, by: f"sum by ({by}) (rate(container_network_{metric}_total{{{C}}}[{R}]))"
    return dashboard(
        "k8s-network", "Cluster network", "Traffic of namespaces and pods.",
        graph("Received", (rates("receive_bytes", "namespace"), "{{namespace}}"), unit="Bps", stack=True),
        graph("Sent", (rates("transmit_bytes", "namespace"), "{{namespace}}"), unit="Bps", stack=True),
        graph("Received, dropped", (rates("receive_packets_dropped", "namespace"), "{{namespace}}"), unit="pps"),
        graph("Sent, dropped", (rates("transmit_packets_dropped", "namespace"), "{{namespace}}"), unit="pps"),
        table("Pods with most traffic", ("Received", f"topk(20, {rates('receive_bytes', 'namespace, pod')})", "Bps"), ("Sent", f"topk(20, {rates('transmit_bytes', 'namespace, pod')})", "Bps"), by=["namespace", "pod"]),
        tags=["kubernetes"], variables=[CLUSTER],
    )


def volumes():
    by = "namespace, persistentvolumeclaim"
    used = f"1 - sum by ({by}) (kubelet_volume_stats_available_bytes{{{C}}}) / sum by ({by}) (kubelet_volume_stats_capacity_bytes{{{C}}})"
    inodes = f"sum by ({by}) (kubelet_volume_stats_inodes_used{{{C}}}) / sum by ({by}) (kubelet_volume_stats_inodes{{{C}}})"
    return dashboard(
        "k8s-volumes", "Volumes", "Persistent volumes, and when they will be full.",
        bars("Fullest", (f"topk(15, {used})", "{{namespace}} {{persistentvolumeclaim}}"), unit="percentunit", colours=rising(0.8, 0.9)),
        graph("Used", (used, "{{namespace}} {{persistentvolumeclaim}}"), unit="percentunit", max=1),
        table("Volumes", ("Size", f"sum by ({by}) (kubelet_volume_stats_capacity_bytes{{{C}}})", "bytes"), ("Free", f"sum by ({by}) (kubelet_volume_stats_available_bytes{{{C}}})", "bytes"), ("Used", used, "percentunit"), ("Files used", inodes, "percentunit"), by=["namespace", "persistentvolumeclaim"]),
        graph("Full in", (f"sum by ({by}) (kubelet_volume_stats_available_bytes{{{C}}}) / clamp_min(-sum by ({by}) (deriv(kubelet_volume_stats_available_bytes{{{C}}}[6h])), 1)", "{{namespace}} {{persistentvolumeclaim}}"), unit="s", w=24, about="If it goes on as in the last 6 hours."),
        tags=["kubernetes"], variables=[CLUSTER],
    )


def dashboards():
    return [cluster(), namespace(), workload(), pod(), node(), network(), volumes()]
