//! Where the metrics are recorded until Prometheus asks for them.

use std::time::Duration;

use lockguard::metrics::VALIDITY_USED_RATIO;
use lockguard_examples::Failure;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::time::{MissedTickBehavior, interval};

/// From a lock that is free in memory to one that is waited for.
const SECONDS: [f64; 9] = [0.0001, 0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0];

/// An alert asks for 0.8; what is beyond 1 was lost.
const SHARES: [f64; 7] = [0.1, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0];

/// How often what was recorded is put into its buckets, whoever asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder of this process.
pub(crate) fn install() -> Result<PrometheusHandle, Failure> {
    let shares = Matcher::Full(VALIDITY_USED_RATIO.to_owned());
    let shown = PrometheusBuilder::new()
        .set_buckets(&SECONDS)?
        .set_buckets_for_metric(shares, &SHARES)?
        .install_recorder()?;
    tokio::spawn(keep_up(shown.clone()));
    Ok(shown)
}

async fn keep_up(shown: PrometheusHandle) {
    let mut ticks = interval(UPKEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shown.run_upkeep();
    }
}
