//! The node's own file, `anomd.yaml`: all of it optional.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use url::Url;

use super::quota::Quotas;
use super::routing::Routing;
use super::tenant_policy::TenantPolicy;

/// The node.
#[derive(Clone, Debug)]
pub struct Node {
    /// `listen`.
    pub listen: SocketAddr,
    /// `public_url`: where the readers of messages reach `listen`, for the links in them;
    /// `None`: messages have no links.
    pub public_url: Option<Url>,
    /// `data`: the folder of the store.
    pub data: PathBuf,
    /// `batches`: the folder of the batch files.
    pub batches: PathBuf,
    /// `plugins`: a folder of further components; `None` has only the bundled ones.
    pub plugins: Option<PathBuf>,
    /// `smtp`: the host's own mail account.
    pub mail: Option<Mail>,
    /// `tenants`; `default` is always there.
    pub tenants: BTreeMap<String, Tenant>,
    /// `allow_unauthenticated`: listens beyond loopback although nobody has a token.
    pub allow_unauthenticated: bool,
    /// `limits`.
    pub limits: Limits,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that puts it into a request.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailSecurity {
    /// TLS from the first byte.
    Tls,
    /// A plain connection that must become TLS.
    Starttls,
    /// None: for a relay on the same machine.
    None,
}

/// The host's mail account.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Host name of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: MailSecurity,
    /// User name and password.
    pub login: Option<(String, Secret)>,
    /// The sender.
    pub from: String,
    /// A further PEM certificate to trust.
    pub ca_file: Option<PathBuf>,
}

/// What a tenant may do.
#[derive(Clone, Debug, Default)]
pub struct Tenant {
    /// `secrets`: name to value and origins; a batch's slot of the same name takes it.
    pub secrets: BTreeMap<String, (Secret, Vec<String>)>,
    /// `grants`: by plugin name.
    pub grants: BTreeMap<String, Grants>,
    /// Origins that somebody approved of, by plugin name.
    pub approved: BTreeMap<String, Vec<String>>,
    /// `policy`: what it may grant itself; the tenant `default` needs none.
    pub policy: TenantPolicy,
    /// `quotas`, as they are written.
    pub quotas: Quotas,
    /// `variables`: what `${NAME}` means in its batches.
    pub variables: BTreeMap<String, String>,
    /// `alerting`.
    pub routing: Routing,
}

/// What a plugin may reach for one tenant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grants {
    /// `origins`: `https://hooks.slack.com`, `https://*.slack.com`, `http://10.0.0.5:9090`.
    pub origins: Vec<String>,
    /// `networks`: private ranges that may be connected to.
    pub networks: Vec<IpNet>,
    /// `recipients`: mail addresses, or `*@example.com`.
    pub recipients: Vec<String>,
}

/// Every number that bounds something. In `anomd.yaml` each is a key of `limits`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// The largest configuration file that is read, in bytes.
    pub config_bytes: usize,
    /// The largest component that is read, in bytes.
    pub component_bytes: usize,
    /// Memory of one instance: linear memories and tables together, in bytes.
    pub instance_memory_bytes: usize,
    /// CPU of one call, in milliseconds.
    pub call_cpu_ms: u64,
    /// Wall-clock time of one call, in milliseconds.
    pub call_wall_ms: u64,
    /// Wall-clock time in which a plugin says what it is and checks a configuration, in
    /// milliseconds.
    pub about_wall_ms: u64,
    /// Instances alive at once.
    pub instances: u32,
    /// Pairs of a tenant and a plugin whose costs are told apart; those that come later are
    /// reckoned together.
    pub plugin_costs: usize,
    /// Plugins that have a name of their own in the metrics.
    pub metric_plugins: usize,
    /// Calls that a warm instance serves before it is retired.
    pub warm_calls: u32,
    /// How long a warm instance waits for another call, in milliseconds.
    pub warm_idle_ms: u64,
    /// A warm instance that has more memory than this is retired, in bytes.
    pub warm_memory_bytes: usize,
    /// Bytes that may cross from guest to host at once: what an export returns, or what
    /// is passed to one function of the host.
    pub crossing_bytes: usize,
    /// Matrix, models and states of one detector call, in bytes.
    pub detector_call_bytes: usize,
    /// Rows of one detector call.
    pub detector_call_rows: usize,
    /// Bytes of one model.
    pub model_bytes: usize,
    /// Bytes of a request body.
    pub http_request_bytes: usize,
    /// Bytes of a response body, after decompression.
    pub http_response_bytes: usize,
    /// Time for one request of which the plugin says no time, in milliseconds.
    pub http_total_ms: u64,
    /// The longest time that a plugin may give one request, in milliseconds.
    pub http_longest_ms: u64,
    /// Time until the answer to a request of which the plugin says no time begins, in
    /// milliseconds.
    pub http_first_byte_ms: u64,
    /// Time to connect, in milliseconds.
    pub http_connect_ms: u64,
    /// Requests that one plugin of a tenant may have on their way at once; others wait.
    pub http_in_flight_per_plugin: u32,
    /// Requests that all plugins of a tenant may have on their way at once; others wait.
    pub http_in_flight_per_tenant: u32,
    /// Requests of one call.
    pub http_requests_per_call: u32,
    /// Insights that one call of an analyst may give.
    pub insights_per_call: usize,
    /// Bytes of the text of one insight; a longer one is cut.
    pub insight_text_bytes: usize,
    /// Messages that one call may mail.
    pub mail_messages_per_call: u32,
    /// Bytes of one mail, attachments included.
    pub mail_message_bytes: usize,
    /// Time to hand one mail to the server, in milliseconds.
    pub mail_total_ms: u64,
    /// Lines that one call may log.
    pub log_lines_per_call: usize,
    /// Bytes of one log line.
    pub log_line_bytes: usize,
    /// Pages of one window.
    pub ingest_pages: usize,
    /// Series of a batch.
    pub series_per_batch: usize,
    /// How long one run goes on asking an analyst, in milliseconds; what it did not come to,
    /// the next run takes first.
    pub analyst_run_ms: u64,
    /// Bytes of all keys and values that one plugin keeps for one tenant.
    pub kv_bytes: usize,
    /// Tries of a run.
    pub run_attempts: u32,
    /// Tries of a delivery.
    pub delivery_attempts: u32,
    /// Wait before the second try, in milliseconds; doubled each time.
    pub retry_first_ms: u64,
    /// The longest wait between two tries, in milliseconds.
    pub retry_longest_ms: u64,
    /// Bytes of the picture in a message; one that would be larger is left out.
    pub chart_bytes: usize,
    /// Bytes of the picture of a batch.
    pub plot_bytes: usize,
    /// Samples of a backtest, all series together.
    pub backtest_samples: usize,
    /// Bytes of what a template of a message makes.
    pub message_bytes: usize,
    /// What a template of a message may cost: one is an instruction, or 64 bytes.
    pub template_fuel: u64,
    /// Notifiers of a tenant that send at once.
    pub notifiers_at_once: usize,
    /// Series that a message names, the worst ones; the rest is counted.
    pub message_findings: usize,
    /// How often alerts that go on are handed over to Alertmanager, in milliseconds.
    pub hand_over_ms: u64,
    /// Alerts handed over in one call.
    pub hand_over_alerts: usize,
    /// What people did about one alert that is kept, the newest.
    pub alert_history: usize,
    /// Decisions of the dispatcher that are kept, a tenant.
    pub notices_kept: usize,
    /// Metrics in the table of a summary, the worst ones.
    pub summary_rows: usize,
    /// Log lines kept in a run record.
    pub run_log_lines: usize,
    /// Run records kept, a job of a batch.
    pub runs_kept: usize,
    /// Free space on the disk of the store below which nothing is written, in bytes.
    pub disk_reserve_bytes: u64,
    /// Memory for pages of the store, in bytes.
    pub store_cache_bytes: usize,
    /// The store's log is sealed into blocks when it has so many bytes.
    pub store_log_bytes: usize,
    /// The same, when so many points are in memory.
    pub store_log_points: usize,
    /// Runs of batches under way at once, of all tenants.
    pub runs_at_once: usize,
    /// Bytes of the body of a request to the API; that of a batch may be `config_bytes`.
    pub api_request_bytes: usize,
    /// Bytes of the body of a request that brings samples.
    pub push_bytes: usize,
    /// Items that one answer of the API lists at most.
    pub api_page_items: usize,
    /// Scores that are read for one overview or ranking.
    pub overview_points: usize,
    /// Rows that one chart has at most.
    pub chart_points: usize,
    /// Trials of batches that nobody keeps, at once.
    pub trials_at_once: usize,
    /// How long one may take, in milliseconds.
    pub trial_ms: u64,
    /// The history that one fetches, in milliseconds.
    pub trial_history_ms: u64,
    /// Series that are shown of one, those with the highest scores.
    pub trial_series: usize,
    /// Points that are shown of each.
    pub trial_points: usize,
    /// Bytes of a form of a page.
    pub form_bytes: usize,
    /// How long a browser stays signed in, in milliseconds.
    pub session_ms: u64,
    /// Browsers that are signed in at once, with the tokens of one tenant; one more ends the
    /// session that would end first.
    pub tenant_sessions: usize,
    /// Attempts to sign in, of one address in a minute.
    pub sign_ins_per_minute: u32,
    /// Requests with a wrong token, of one address in a minute; more are answered `429`.
    pub wrong_tokens_per_minute: u32,
    /// Addresses whose attempts are counted apart.
    pub throttled_addresses: usize,
    /// Plugins that a tenant may have installed.
    pub tenant_plugins: usize,
    /// Faults of a plugin's own in a row after which it is not called for a while.
    pub quarantine_faults: u32,
    /// How long that is the first time, in milliseconds; doubled each time that it fails again.
    pub quarantine_first_ms: u64,
    /// The longest that it is, in milliseconds.
    pub quarantine_longest_ms: u64,
    /// The longest span that a backfill fills, in milliseconds.
    pub backfill_ms: u64,
    /// What a backfill fetches and scores at a time, in milliseconds; between two parts the
    /// batch's own runs have their turn.
    pub backfill_part_ms: u64,
    /// Listeners to what goes on that a tenant may have at once.
    pub live_listeners_per_tenant: usize,
    /// Events that a listener may be behind before it misses some.
    pub live_backlog: usize,
    /// Alerts of one run that are told one by one; more are one event.
    pub live_alerts_per_run: usize,
    /// How long a listener is told before it has to come again, and show its token again, in
    /// milliseconds.
    pub live_connection_ms: u64,
    /// Tokens that a tenant may have.
    pub tenant_tokens: usize,
    /// Variables, and secrets, that a tenant may have.
    pub tenant_variables: usize,
    /// How old the measure of what a tenant keeps may be, in milliseconds.
    pub tenant_measure_ms: u64,
    /// Batches of a hosted tenant whose own quota says nothing; so with the following.
    pub tenant_batches: u64,
    /// Its series.
    pub tenant_series: u64,
    /// Its samples a day.
    pub tenant_samples_per_day: u64,
    /// Bytes of everything that it keeps.
    pub tenant_store_bytes: u64,
    /// Bytes that its plugins keep.
    pub tenant_kv_bytes: u64,
    /// Memory of its instances, in bytes.
    pub tenant_memory_bytes: u64,
    /// CPU of its plugins in a minute, in milliseconds.
    pub tenant_cpu_ms_per_minute: u64,
    /// Its runs under way at once.
    pub tenant_runs_at_once: u64,
    /// Calls of its plugins under way at once.
    pub tenant_calls_at_once: u64,
    /// How late a tick may be before the node says that it is not ready, in milliseconds.
    pub tick_late_ms: u64,
    /// How long a stop waits for running jobs, in milliseconds.
    pub shutdown_grace_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            config_bytes: 1 << 20,
            component_bytes: 32 << 20,
            instance_memory_bytes: 256 << 20,
            call_cpu_ms: 30_000,
            call_wall_ms: 120_000,
            about_wall_ms: 10_000,
            instances: 64,
            plugin_costs: 10_000,
            metric_plugins: 100,
            warm_calls: 1_000,
            warm_idle_ms: 60_000,
            warm_memory_bytes: 64 << 20,
            crossing_bytes: 64 << 20,
            detector_call_bytes: 4 << 20,
            detector_call_rows: 1_000,
            model_bytes: 1 << 20,
            http_request_bytes: 1 << 20,
            http_response_bytes: 16 << 20,
            http_total_ms: 30_000,
            http_longest_ms: 110_000,
            http_first_byte_ms: 20_000,
            http_connect_ms: 5_000,
            http_in_flight_per_plugin: 8,
            http_in_flight_per_tenant: 64,
            http_requests_per_call: 256,
            insights_per_call: 1_000,
            insight_text_bytes: 16 << 10,
            mail_messages_per_call: 100,
            mail_message_bytes: 10 << 20,
            mail_total_ms: 60_000,
            log_lines_per_call: 100,
            log_line_bytes: 4 << 10,
            ingest_pages: 100_000,
            series_per_batch: 100_000,
            analyst_run_ms: 120_000,
            kv_bytes: 1 << 20,
            run_attempts: 3,
            delivery_attempts: 8,
            retry_first_ms: 500,
            retry_longest_ms: 300_000,
            chart_bytes: 60_000,
            plot_bytes: 1 << 20,
            backtest_samples: 50_000_000,
            message_bytes: 16 << 10,
            template_fuel: 20_000,
            notifiers_at_once: 8,
            message_findings: 10,
            hand_over_ms: 60_000,
            hand_over_alerts: 500,
            alert_history: 50,
            notices_kept: 10_000,
            summary_rows: 50,
            run_log_lines: 200,
            runs_kept: 1_000,
            disk_reserve_bytes: 128 << 20,
            store_cache_bytes: 128 << 20,
            store_log_bytes: 64 << 20,
            store_log_points: 2_000_000,
            runs_at_once: 64,
            api_request_bytes: 64 << 10,
            push_bytes: 4 << 20,
            api_page_items: 1_000,
            overview_points: 20_000_000,
            chart_points: 50_000,
            trials_at_once: 2,
            trial_ms: 60_000,
            trial_history_ms: 7 * 24 * 3_600_000,
            trial_series: 20,
            trial_points: 500,
            form_bytes: 4 << 20,
            session_ms: 7 * 24 * 3_600_000,
            tenant_sessions: 1_000,
            sign_ins_per_minute: 10,
            wrong_tokens_per_minute: 300,
            throttled_addresses: 10_000,
            tenant_plugins: 50,
            quarantine_faults: 5,
            quarantine_first_ms: 60_000,
            quarantine_longest_ms: 3_600_000,
            backfill_ms: 31 * 86_400_000,
            backfill_part_ms: 86_400_000,
            live_listeners_per_tenant: 64,
            live_backlog: 512,
            live_alerts_per_run: 50,
            live_connection_ms: 900_000,
            tenant_tokens: 100,
            tenant_variables: 200,
            tenant_measure_ms: 600_000,
            tenant_batches: 100,
            tenant_series: 10_000,
            tenant_samples_per_day: 20_000_000,
            tenant_store_bytes: 5 << 30,
            tenant_kv_bytes: 16 << 20,
            tenant_memory_bytes: 1 << 30,
            tenant_cpu_ms_per_minute: 30_000,
            tenant_runs_at_once: 4,
            tenant_calls_at_once: 16,
            tick_late_ms: 30_000,
            shutdown_grace_ms: 30_000,
        }
    }
}
