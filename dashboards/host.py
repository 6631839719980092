"""Dashboards of hosts, from node_exporter's metrics."""

from panels import *

FOLDER = "Hosts"

R = "$__rate_interval"
OF = 'job=~"$node_job",instance="$instance"'
REAL = 'fstype!~"tmpfs|ramfs|overlay|squashfs|devtmpfs|iso9660"'
VARIABLES = [choice("node_job", "Job", "node_uname_info", "job"), choice("instance", "Host", 'node_uname_info{job=~"$node_job"}', "instance", multi=False)]

BUSY = f'1 - avg(rate(node_cpu_seconds_total{{{OF},mode="idle"}}[{R}]))'
MEMORY = f"1 - node_memory_MemAvailable_bytes{{{OF}}} / node_memory_MemTotal_bytes{{{OF}}}"


def usage(free, size):
    return f"1 - {free}{{{OF},{REAL}}} / {size}{{{OF},{REAL}}}"


def host():
    return dashboard(
        "host", "Host", "One host at a glance.",
        gauge("Processor", BUSY),
        gauge("Memory", MEMORY),
        gauge("Fullest filesystem", f"max({usage('node_filesystem_avail_bytes', 'node_filesystem_size_bytes')})"),
        stat("Load a core", f'node_load5{{{OF}}} / on (instance, job) count by (instance, job) (node_cpu_seconds_total{{{OF},mode="idle"}})', colours=rising(1, 2), h=6, unit="none"),
        stat("Memory", f"node_memory_MemTotal_bytes{{{OF}}}", unit="bytes", h=6, graph="none"),
        stat("Up for", f"node_time_seconds{{{OF}}} - node_boot_time_seconds{{{OF}}}", unit="s", h=6, graph="none"),
        row(
            "Processor",
            graph("Time by kind", (f'sum by (mode) (rate(node_cpu_seconds_total{{{OF},mode!="idle"}}[{R}]))', "{{mode}}"), unit="none", stack=True, about="Cores in use."),
            graph("Load", (f"node_load1{{{OF}}}", "1 min"), (f"node_load5{{{OF}}}", "5 min"), (f"node_load15{{{OF}}}", "15 min"), (f'count(node_cpu_seconds_total{{{OF},mode="idle"}})', "cores"), unit="none"),
        ),
        row(
            "Memory",
            graph(
                "Use",
                (f"node_memory_MemTotal_bytes{{{OF}}} - node_memory_MemFree_bytes{{{OF}}} - node_memory_Buffers_bytes{{{OF}}} - node_memory_Cached_bytes{{{OF}}} - node_memory_SReclaimable_bytes{{{OF}}}", "programs"),
                (f"node_memory_Buffers_bytes{{{OF}}}", "buffers"),
                (f"node_memory_Cached_bytes{{{OF}}} + node_memory_SReclaimable_bytes{{{OF}}}", "caches"),
                (f"node_memory_MemFree_bytes{{{OF}}}", "free"),
                unit="bytes", stack=True,
            ),
            graph("Swapped", (f"rate(node_vmstat_pswpin{{{OF}}}[{R}])", "in"), (f"rate(node_vmstat_pswpout{{{OF}}}[{R}])", "out"), unit="cps"),
        ),
        row(
            "Disks and network",
            graph("Disks", (f"sum(rate(node_disk_read_bytes_total{{{OF}}}[{R}]))", "read"), (f"sum(rate(node_disk_written_bytes_total{{{OF}}}[{R}]))", "written"), unit="Bps"),
            graph("Network", (f'sum(rate(node_network_receive_bytes_total{{{OF},device!="lo"}}[{R}]))', "received"), (f'sum(rate(node_network_transmit_bytes_total{{{OF},device!="lo"}}[{R}]))', "sent"), unit="Bps"),
        ),
        tags=["host"], variables=VARIABLES,
    )


def disks():
    return dashboard(
        "host-disks", "Host disks", "Filesystems and the disks below them.",
        table(
            "Filesystems",
            ("Size", f"max by (mountpoint, device, fstype) (node_filesystem_size_bytes{{{OF},{REAL}}})", "bytes"),
            ("Free", f"max by (mountpoint, device, fstype) (node_filesystem_avail_bytes{{{OF},{REAL}}})", "bytes"),
            ("Used", f"max by (mountpoint, device, fstype) ({usage('node_filesystem_avail_bytes', 'node_filesystem_size_bytes')})", "percentunit"),
            ("Files used", f"max by (mountpoint, device, fstype) ({usage('node_filesystem_files_free', 'node_filesystem_files')})", "percentunit"),
            by=["mountpoint", "device", "fstype"],
        ),
        graph("Used", (f"max by (mountpoint) ({usage('node_filesystem_avail_bytes', 'node_filesystem_size_bytes')})", "{{mountpoint}}"), unit="percentunit", max=1),
        graph("Full in", (f"node_filesystem_avail_bytes{{{OF},{REAL}}} / clamp_min(-deriv(node_filesystem_avail_bytes{{{OF},{REAL}}}[6h]), 1)", "{{mountpoint}}"), unit="s", about="If it goes on as in the last 6 hours."),
        graph("Busy", (f"rate(node_disk_io_time_seconds_total{{{OF}}}[{R}])", "{{device}}"), unit="percentunit"),
        graph("Operations", (f"rate(node_disk_reads_completed_total{{{OF}}}[{R}])", "read {{device}}"), (f"rate(node_disk_writes_completed_total{{{OF}}}[{R}])", "write {{device}}"), unit="iops"),
        graph("Bytes", (f"rate(node_disk_read_bytes_total{{{OF}}}[{R}])", "read {{device}}"), (f"rate(node_disk_written_bytes_total{{{OF}}}[{R}])", "write {{device}}"), unit="Bps"),
        graph("Time of an operation", (f"rate(node_disk_read_time_seconds_total{{{OF}}}[{R}]) / rate(node_disk_reads_completed_total{{{OF}}}[{R}])", "read {{device}}"), (f"rate(node_disk_write_time_seconds_total{{{OF}}}[{R}]) / rate(node_disk_writes_completed_total{{{OF}}}[{R}])", "write {{device}}"), unit="s"),
        tags=["host"], variables=VARIABLES,
    )


def network():
    card = f'{OF},device=~"$device"'
    per = lambda metric: f"rate(node_network_{metric}{{{card}}}[{R}])"
    return dashboard(
        "host-network", "Host network", "Network cards and sockets.",
        graph("Bytes", (per("receive_bytes_total"), "received {{device}}"), (per("transmit_bytes_total"), "sent {{device}}"), unit="Bps"),
        graph("Packets", (per("receive_packets_total"), "received {{device}}"), (per("transmit_packets_total"), "sent {{device}}"), unit="pps"),
        graph("Errors", (per("receive_errs_total"), "received {{device}}"), (per("transmit_errs_total"), "sent {{device}}"), unit="pps"),
        graph("Dropped", (per("receive_drop_total"), "received {{device}}"), (per("transmit_drop_total"), "sent {{device}}"), unit="pps"),
        graph("Sockets", (f"node_sockstat_TCP_inuse{{{OF}}}", "TCP"), (f"node_sockstat_TCP_tw{{{OF}}}", "TCP, ending"), (f"node_sockstat_UDP_inuse{{{OF}}}", "UDP")),
        states("Cards", (f"node_network_up{{{card}}}", "{{device}}"), w=12),
        tags=["host"], variables=[*VARIABLES, choice("device", "Card", f'node_network_up{{{OF},device!="lo"}}', "device")],
    )


def pressure():
    waiting = lambda what: f"rate(node_pressure_{what}_seconds_total{{{OF}}}[{R}])"
    return dashboard(
        "host-pressure", "Host pressure", "What programs wait for, and what memory is used for.",
        graph("Waiting for the processor", (waiting("cpu_waiting"), "some"), unit="percentunit", w=8),
        graph("Waiting for memory", (waiting("memory_waiting"), "some"), (waiting("memory_stalled"), "all"), unit="percentunit", w=8),
        graph("Waiting for disks", (waiting("io_waiting"), "some"), (waiting("io_stalled"), "all"), unit="percentunit", w=8),
        graph("Pages read anew", (f"rate(node_vmstat_pgmajfault{{{OF}}}[{R}])", "major faults"), unit="cps"),
        graph("Killed for lack of memory", (f"increase(node_vmstat_oom_kill{{{OF}}}[{R}])", "programs")),
        graph("Kernel's own", (f"node_memory_Slab_bytes{{{OF}}}", "slab"), (f"node_memory_PageTables_bytes{{{OF}}}", "page tables"), (f"node_memory_KernelStack_bytes{{{OF}}}", "stacks"), unit="bytes", stack=True),
        graph("Not written yet", (f"node_memory_Dirty_bytes{{{OF}}}", "dirty"), (f"node_memory_Writeback_bytes{{{OF}}}", "being written"), unit="bytes"),
        graph("Switches", (f"rate(node_context_switches_total{{{OF}}}[{R}])", "of context"), (f"rate(node_intr_total{{{OF}}}[{R}])", "interrupts"), unit="cps"),
        graph("Open files", (f"node_filefd_allocated{{{OF}}}", "open"), (f"node_filefd_maximum{{{OF}}}", "allowed")),
        tags=["host"], variables=VARIABLES,
    )


def dashboards():
    return [host(), disks(), network(), pressure()]
