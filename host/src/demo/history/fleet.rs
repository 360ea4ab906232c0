//! The systems of a history: what each of their series measures, minute by minute.
//!
//! One web service (with the metrics of the PromLabs demo service), the machine under it,
//! a probe from outside and a login form. Series of one system share their causes: people
//! send requests, requests take CPU and network.

use super::calendar::{Calendar, DAY};
use super::incident::{Effects, GIB, MIB, Target};
use super::process::{Dice, busy};
use crate::series::Kind;

/// CPUs of the machine.
const CPUS: f64 = 4.0;
/// Bytes of its memory.
const MEMORY: f64 = 8.0 * GIB;
/// Seconds of a minute.
const MINUTE: f64 = 60.0;

/// The values of one series before they are scraped.
pub struct Track {
    /// Its metric name.
    pub name: &'static str,
    /// Its other labels, but for instance and job.
    pub labels: &'static [(&'static str, &'static str)],
    /// The system that it is scraped from.
    pub job: Job,
    /// A counter has increments here, a gauge values.
    pub kind: Kind,
    /// One a minute.
    pub values: Vec<f64>,
    /// The effects that are meant to be seen in it.
    pub shows: &'static [Target],
}

/// Where a series is scraped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// The web service, whose processes restart with each deployment.
    Demo,
    /// The machine under it.
    Node,
    /// The probe from outside.
    Probe,
    /// The login form.
    Auth,
}

impl Job {
    /// The labels `job` and `instance`.
    pub fn labels(self) -> [(&'static str, &'static str); 2] {
        let (job, instance) = match self {
            Self::Demo => ("demo", "demo-service-0:10000"),
            Self::Node => ("node", "demo-service-0:9100"),
            Self::Probe => ("probe", "https://shop.example"),
            Self::Auth => ("auth", "auth-0:9000"),
        };
        [("job", job), ("instance", instance)]
    }
}

/// Name, kind and help of the metrics, by `__name__`.
pub const FAMILIES: [(&str, Kind, &str); 18] = [
    ("demo_cpu_usage_seconds_total", Kind::Counter, "CPU time by mode, in seconds."),
    ("demo_memory_usage_bytes", Kind::Gauge, "Memory by type."),
    ("demo_disk_usage_bytes", Kind::Gauge, "Bytes in use on the disk."),
    ("demo_disk_total_bytes", Kind::Gauge, "Bytes that the disk holds."),
    ("demo_num_cpus", Kind::Gauge, "CPUs of the machine."),
    ("demo_items_shipped_total", Kind::Counter, "Items that left the store."),
    ("demo_api_request_duration_seconds_count", Kind::Counter, "Requests that were answered."),
    ("demo_api_request_duration_seconds_sum", Kind::Counter, "How long requests took, in seconds."),
    ("demo_api_http_requests_in_progress", Kind::Gauge, "Requests that are being answered."),
    ("demo_batch_queue_length", Kind::Gauge, "Jobs that wait; a batch is queued at each hour."),
    ("go_memstats_heap_alloc_bytes", Kind::Gauge, "Bytes of heap objects that are not yet collected."),
    ("node_load1", Kind::Gauge, "Load over one minute."),
    ("node_network_receive_bytes_total", Kind::Counter, "Bytes received by device."),
    ("node_network_transmit_bytes_total", Kind::Counter, "Bytes sent by device."),
    ("node_network_transmit_drop_total", Kind::Counter, "Packets dropped in sending by device."),
    ("node_network_receive_errs_total", Kind::Counter, "Damaged packets received by device."),
    ("probe_duration_seconds", Kind::Gauge, "How long the probe took."),
    ("login_attempts_total", Kind::Counter, "Logins by outcome."),
];

/// The causes that several series share, and how they are drawn.
struct World<'a> {
    dice: Dice,
    calendar: Calendar,
    effects: &'a Effects,
    length: usize,
    busy: Vec<f64>,
    next_stream: u64,
    tracks: Vec<Track>,
}

/// The streams below are for what happens to the systems.
const FIRST_STREAM: u64 = 100;

impl World<'_> {
    fn stream(&mut self) -> u64 {
        self.next_stream += 1;
        self.next_stream
    }

    fn wander(&mut self, memory: f64, deviation: f64) -> Vec<f64> {
        let stream = self.stream();
        self.dice.wander(stream, self.length, memory, deviation)
    }

    fn normal(&mut self) -> Vec<f64> {
        let stream = self.stream();
        self.dice.normal(stream, self.length)
    }

    fn counts(&mut self, means: &[f64]) -> Vec<f64> {
        let stream = self.stream();
        self.dice.counts(stream, means)
    }

    fn bursts(&mut self, rate: f64, sizes: (f64, f64), minutes: usize) -> Vec<f64> {
        let stream = self.stream();
        self.dice.bursts(stream, self.length, rate, sizes, minutes)
    }

    fn on(&self, target: Target) -> Vec<(f64, f64)> {
        self.effects.on(target, self.length)
    }

    /// A value for each minute.
    fn each(&self, value: impl FnMut(usize) -> f64) -> Vec<f64> {
        (0..self.length).map(value).collect()
    }

    /// Minutes of the day from `hour` on, for so many minutes.
    fn daily(&self, minute: usize, hour: f64, minutes: f64) -> bool {
        let since = (self.calendar.hour(minute) - hour).rem_euclid(24.0) * MINUTE;
        since < minutes - 1e-6
    }

    fn track(
        &mut self,
        job: Job,
        kind: Kind,
        name: &'static str,
        labels: &'static [(&'static str, &'static str)],
        shows: &'static [Target],
        values: Vec<f64>,
    ) {
        self.tracks.push(Track { name, labels, job, kind, values, shows });
    }
}

/// All series of a history of so many minutes. `growth` is the growth of a week.
pub fn tracks(dice: Dice, calendar: Calendar, length: usize, growth: f64, effects: &Effects) -> Vec<Track> {
    let grown = |minute: usize| 1.0 + growth * minute as f64 / (7 * DAY) as f64;
    let busy = busy(calendar, length).into_iter().enumerate().map(|(m, b)| b * grown(m)).collect();
    let mut world = World { dice, calendar, effects, length, busy, next_stream: FIRST_STREAM, tracks: Vec::new() };
    let load = service(&mut world);
    machine(&mut world, &load);
    logins(&mut world);
    world.tracks
}

/// The web service.
#[expect(clippy::indexing_slicing, reason = "all columns are as long as the history")]
fn service(world: &mut World<'_>) -> Load {
    use Job::Demo;
    use Kind::{Counter, Gauge};
    const COUNT: &str = "demo_api_request_duration_seconds_count";
    const SUM: &str = "demo_api_request_duration_seconds_sum";
    const FOO: &[(&str, &str)] = &[("method", "GET"), ("path", "/api/foo"), ("status", "200")];
    const BAR: &[(&str, &str)] = &[("method", "POST"), ("path", "/api/bar"), ("status", "200")];
    const FAILED: &[(&str, &str)] = &[("method", "GET"), ("path", "/api/foo"), ("status", "500")];

    let (requests, latency, errors) = (world.on(Target::Requests), world.on(Target::Latency), world.on(Target::Errors));
    // People come and go together (minutes to hours), and a little by themselves.
    let (tide, ripple) = (world.wander(0.995, 0.035), world.wander(0.6, 0.02));
    let people = world.each(|m| world.busy[m] * (tide[m] + ripple[m]).exp());
    let served = world.each(|m| people[m] * requests[m].0);
    let slowness = world.wander(0.8, 0.06);
    let delay = world.each(|m| (1.0 + 0.3 * people[m]) * slowness[m].exp() * latency[m].0);

    for (labels, busiest, seconds) in [(FOO, 900.0, 0.045), (BAR, 260.0, 0.11)] {
        let own = world.wander(0.9, 0.03);
        let means = world.each(|m| busiest * served[m] * own[m].exp());
        let counts = world.counts(&means);
        let z = world.normal();
        let sums = world.each(|m| {
            let n = counts[m].max(0.0);
            (seconds * delay[m] * (n + 0.7 * n.sqrt() * z[m])).max(0.0)
        });
        world.track(Demo, Counter, COUNT, labels, &[Target::Requests], counts);
        world.track(Demo, Counter, SUM, labels, &[Target::Requests, Target::Latency], sums);
    }
    // Clients that retry: single minutes with several times the usual errors.
    let retries = world.bursts(0.002, (3.0, 8.0), 1);
    let means = world.each(|m| 5.0 * people[m] * retries[m] * errors[m].0);
    let failed = world.counts(&means);
    world.track(Demo, Counter, COUNT, FAILED, &[Target::Errors], failed);
    let means = world.each(|m| 30.0 * served[m] * delay[m]);
    let open = world.counts(&means);
    let shows = &[Target::Requests, Target::Latency];
    world.track(Demo, Gauge, "demo_api_http_requests_in_progress", &[], shows, open);

    // Shifts begin and end sharply, a minute or two early or late.
    let shipments = world.on(Target::Shipments);
    let late = world.wander(0.0, 1.0);
    let pace = world.wander(0.97, 0.06);
    let means = world.each(|m| {
        let shift = world.daily(m, 6.0 + (late[m / DAY * DAY].clamp(-2.0, 2.0).round() / MINUTE), 16.0 * MINUTE);
        let rate = match (world.calendar.weekend(m), shift) {
            (false, true) => 42.0,
            (true, true) => 16.0,
            (_, false) => 5.0,
        };
        rate * pace[m].exp() * shipments[m].0
    });
    let shipped = world.counts(&means);
    world.track(Demo, Counter, "demo_items_shipped_total", &[], &[Target::Shipments], shipped);

    // A collection each time that the heap has doubled.
    let z = world.normal();
    let mut heap = 40.0 * MIB;
    let (mut live, mut limit) = (38.0 * MIB, 84.0 * MIB);
    let heaps = world.each(|m| {
        heap += (0.25 + 1.3 * world.busy[m]) * MIB * (1.0 + 0.25 * z[m]).max(0.1);
        if heap > limit {
            live = 38.0 * MIB * (1.0 + 0.04 * z[m]);
            limit = 2.2 * live;
            heap = live;
        }
        heap.round()
    });
    world.track(Demo, Gauge, "go_memstats_heap_alloc_bytes", &[], &[], heaps);

    let size = world.wander(0.0, 5.0);
    let mut queue = 0.0f64;
    let z = world.normal();
    let queues = world.each(|m| {
        if world.daily(m, world.calendar.hour(m).floor(), 1.0) {
            queue += (48.0 + size[m]).round();
        }
        queue = (queue - (2.6 + 0.5 * z[m])).max(0.0);
        queue.round()
    });
    world.track(Demo, Gauge, "demo_batch_queue_length", &[], &[], queues);

    // Mostly the network between; now and then a packet is lost and sent again.
    let (z, lost) = (world.normal(), world.bursts(0.004, (1.1, 1.5), 1));
    let probes = world.each(|m| {
        let answer = 0.11 * (0.22 * z[m]).exp() * (1.0 + 0.25 * people[m]) * latency[m].0;
        answer + (lost[m] - 1.0)
    });
    world.track(Job::Probe, Gauge, "probe_duration_seconds", &[], &[Target::Latency], probes);
    Load { people, served }
}

/// What the service is asked for a minute, as a share of the busiest.
struct Load {
    /// By the people who are there.
    people: Vec<f64>,
    /// As far as it gets through.
    served: Vec<f64>,
}

/// The machine under the service.
#[expect(clippy::indexing_slicing, reason = "all columns are as long as the history")]
fn machine(world: &mut World<'_>, Load { people, served }: &Load) {
    use Job::{Demo, Node};
    use Kind::{Counter, Gauge};
    const ETH0: &[(&str, &str)] = &[("device", "eth0")];
    // A report at 2:00 for 25 minutes, a backup at 3:00 for 20.
    let report = world.each(|m| f64::from(u8::from(world.daily(m, 2.0, 25.0))));
    let backup = world.each(|m| f64::from(u8::from(world.daily(m, 3.0, 20.0))));

    let cpu = world.on(Target::Cpu);
    let (a, b) = (world.wander(0.7, 0.06), world.wander(0.5, 0.05));
    let user = world.each(|m| (0.12 + 1.35 * served[m]) * a[m].exp() + 0.9 * report[m] + cpu[m].1);
    let system = world.each(|m| (0.05 + 0.32 * served[m]) * b[m].exp() + 0.12 * report[m] + 0.18 * backup[m]);
    let idle = world.each(|m| (CPUS - 0.02 - user[m] - system[m]).max(0.0));
    let shows = &[Target::Cpu, Target::Requests];
    for (labels, share) in
        [(&[("mode", "user")][..], &user), (&[("mode", "system")][..], &system), (&[("mode", "idle")][..], &idle)]
    {
        let seconds = share.iter().map(|s| s * MINUTE).collect();
        let shows = if std::ptr::eq(share, &system) { &shows[1..] } else { shows };
        world.track(Demo, Counter, "demo_cpu_usage_seconds_total", labels, shows, seconds);
    }
    let (z, mut load) = (world.wander(0.5, 0.18), 0.5);
    let loads = world.each(|m| {
        load += 0.5 * ((user[m] + system[m]) * 1.1 - load);
        ((load * z[m].exp()) * 100.0).round() / 100.0
    });
    world.track(Node, Gauge, "node_load1", &[], &[Target::Cpu, Target::Requests], loads);

    let memory = world.on(Target::Memory);
    let (z, slow) = (world.wander(0.4, 0.012), world.wander(0.995, 0.05));
    let mut held = world.busy[0];
    let used = world.each(|m| {
        held += 0.02 * (people[m] - held);
        ((3.0 + 1.0 * held + z[m] + slow[m]) * GIB + memory[m].1).round()
    });
    let turn = world.wander(0.98, 0.04);
    let cached = world.each(|m| ((1.9 + 0.35 * backup[m] + turn[m]) * GIB).round());
    let free = world.each(|m| (MEMORY - used[m] - cached[m]).max(64.0 * MIB));
    let shows = &[Target::Memory];
    world.track(Demo, Gauge, "demo_memory_usage_bytes", &[("type", "used")], shows, used);
    world.track(Demo, Gauge, "demo_memory_usage_bytes", &[("type", "cached")], &[], cached);
    world.track(Demo, Gauge, "demo_memory_usage_bytes", &[("type", "free")], shows, free);

    disk(world, people);
    let cpus = world.each(|_| CPUS);
    world.track(Demo, Gauge, "demo_num_cpus", &[], &[], cpus);

    let network = world.on(Target::Network);
    for (name, busiest, nightly) in
        [("node_network_receive_bytes_total", 2.4e6, 0.0), ("node_network_transmit_bytes_total", 7.5e6, 5.5e6)]
    {
        let z = world.wander(0.75, 0.07);
        let bytes = world.each(|m| {
            let rate = (0.15 * busiest + busiest * served[m]) * z[m].exp() * network[m].0;
            ((rate + nightly * backup[m]) * MINUTE).round()
        });
        world.track(Node, Counter, name, ETH0, &[Target::Network, Target::Requests], bytes);
    }
    let drops = world.on(Target::Drops);
    let crowded = world.bursts(0.0015, (2.5, 6.0), 2);
    let means = world.each(|m| (3.0 + 14.0 * people[m]) * crowded[m] * drops[m].0);
    let dropped = world.counts(&means);
    world.track(Node, Counter, "node_network_transmit_drop_total", ETH0, &[Target::Drops], dropped);
    let means = world.each(|_| 0.006);
    let damaged = world.counts(&means);
    world.track(Node, Counter, "node_network_receive_errs_total", ETH0, &[], damaged);
}

/// The series of the disk.
pub const DISK_USED: &str = "demo_disk_usage_bytes";
/// Bytes that the disk holds.
pub const DISK: f64 = 100.0 * GIB;
/// The part of the disk that may be full.
pub const DISK_LIMIT: f64 = 0.9;

/// A disk that fills with the day's logs, is cleaned each night at 3:30, and grows slowly.
#[expect(clippy::indexing_slicing, reason = "all columns are as long as the history")]
fn disk(world: &mut World<'_>, people: &[f64]) {
    use Kind::Gauge;
    let growth = world.on(Target::DiskGrowth);
    let (z, files) = (world.normal(), world.wander(0.9, 14.0 * MIB));
    let (mut above, mut stays) = (600.0 * MIB, 0.0);
    let values = world.each(|m| {
        above += (0.5 + 3.4 * people[m]) * MIB * (1.0 + 0.4 * z[m]);
        // What stays is deleted half an hour before the end of the incident.
        let deleted = growth.get(m + 30).is_none_or(|(_, growth)| *growth == 0.0);
        stays = if deleted { 0.0 } else { stays + growth[m].1 };
        if world.daily(m, 3.5, 12.0) {
            above *= if world.daily(m, 3.5, 11.0) { 0.7 } else { 0.0 };
        }
        let base = 41.0 * GIB + 90.0 * MIB * m as f64 / DAY as f64;
        (base + above + stays + files[m]).round()
    });
    world.track(Job::Demo, Gauge, DISK_USED, &[], &[Target::DiskGrowth], values);
    let total = world.each(|_| DISK);
    world.track(Job::Demo, Gauge, "demo_disk_total_bytes", &[], &[], total);
}

/// The login form.
#[expect(clippy::indexing_slicing, reason = "all columns are as long as the history")]
fn logins(world: &mut World<'_>) {
    use Kind::Counter;
    let (tide, refused) = (world.wander(0.98, 0.05), world.on(Target::RefusedLogins));
    let means = world.each(|m| 24.0 * world.busy[m] * tide[m].exp());
    let granted = world.counts(&means);
    world.track(Job::Auth, Counter, "login_attempts_total", &[("outcome", "success")], &[], granted);
    // Somebody who has forgotten the password tries some more.
    let forgotten = world.bursts(0.004, (3.0, 8.0), 2);
    let means = world.each(|m| 1.6 * world.busy[m] * tide[m].exp() * forgotten[m] + refused[m].1);
    let failed = world.counts(&means);
    let shows = &[Target::RefusedLogins];
    world.track(Job::Auth, Counter, "login_attempts_total", &[("outcome", "failure")], shows, failed);
}
