//! The process metrics that Prometheus client libraries have in common, read from `/proc` at each scrape.

use std::collections::HashMap;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge};

/// Clock ticks a second in `/proc/self/stat`: fixed by the kernel's interface to programs.
const TICKS: f64 = 100.0;

/// Reads them when it is collected; what the kernel does not give keeps its last value.
#[derive(Clone)]
pub(super) struct Process {
    cpu_seconds: Counter,
    resident_bytes: Gauge,
    virtual_bytes: Gauge,
    start_seconds: Gauge,
    threads: Gauge,
    open_files: Gauge,
    most_files: Gauge,
}

impl Process {
    pub(super) fn new() -> Self {
        let gauge = |name, help| Gauge::new(name, help).expect("the name is legal");
        let help = "Total user and system CPU time in seconds.";
        Self {
            cpu_seconds: Counter::new("process_cpu_seconds_total", help).expect("the name is legal"),
            resident_bytes: gauge("process_resident_memory_bytes", "Resident memory in bytes."),
            virtual_bytes: gauge("process_virtual_memory_bytes", "Virtual memory in bytes."),
            start_seconds: gauge("process_start_time_seconds", "Start time in seconds since 1970."),
            threads: gauge("process_threads", "Number of threads."),
            open_files: gauge("process_open_fds", "Number of open file descriptors."),
            most_files: gauge("process_max_fds", "Most open file descriptors."),
        }
    }

    fn collectors(&self) -> [&dyn Collector; 7] {
        [
            &self.cpu_seconds,
            &self.resident_bytes,
            &self.virtual_bytes,
            &self.start_seconds,
            &self.threads,
            &self.open_files,
            &self.most_files,
        ]
    }

    fn read(&self) -> Option<()> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let status: HashMap<&str, &str> = status.lines().filter_map(|line| line.split_once(':')).collect();
        let number = |name: &str| status.get(name)?.split_whitespace().next()?.parse::<f64>().ok();
        self.resident_bytes.set(number("VmRSS")? * 1024.0);
        self.virtual_bytes.set(number("VmSize")? * 1024.0);
        self.threads.set(number("Threads")?);
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name before the last parenthesis may hold blanks.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |index: usize| fields.get(index)?.parse::<f64>().ok();
        let seconds = (field(11)? + field(12)?) / TICKS;
        self.cpu_seconds.inc_by((seconds - self.cpu_seconds.get()).max(0.0));
        let boot = std::fs::read_to_string("/proc/stat").ok()?;
        let boot: f64 = boot.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
        self.start_seconds.set(boot + field(19)? / TICKS);
        let open = u32::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()?;
        self.open_files.set(f64::from(open));
        let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
        let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
        self.most_files.set(files.split_whitespace().next()?.parse().ok()?);
        Some(())
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // A kernel without `/proc` leaves them at 0.
        let _ = self.read();
        self.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_gives_all_of_them() {
        let process = Process::new();
        let families = process.collect();
        assert_eq!(families.len(), process.desc().len());
        for (name, gauge) in [
            ("resident", &process.resident_bytes),
            ("virtual", &process.virtual_bytes),
            ("threads", &process.threads),
            ("open files", &process.open_files),
            ("most files", &process.most_files),
        ] {
            assert!(gauge.get() >= 1.0, "{name}");
        }
        assert!(process.start_seconds.get() > 1_600_000_000.0);
    }
}
