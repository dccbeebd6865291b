//! The chapter about the cost of a wide run, computed from measured rates.

use super::html::{escape, scrolling};
use super::trouble::Trouble;
use serde::Deserialize;
use std::path::Path;

/// The rates of a machine, as `make rates` measures them.
#[derive(Debug, Deserialize)]
pub struct Rates {
    /// When they were measured, in UTC.
    started: String,
    kernel: Kernel,
    /// The number of processors of the machine.
    processors: u32,
    rates: Vec<Rate>,
}

#[derive(Debug, Deserialize)]
struct Kernel {
    release: String,
}

#[derive(Debug, Deserialize)]
struct Rate {
    /// `model`, `guest`, or the name of a file system.
    what: String,
    per_second: f64,
    /// The command that measured it.
    by: String,
}

/// The rates that are not those of a file system.
const MODEL: &str = "model";
const GUEST: &str = "guest";

/// The run whose cost is computed.
const KERNELS: f64 = 50.0;
const CALLS: f64 = 1e9;
/// The calls that are made on a kernel after those on the reference have been chosen from.
const CHOSEN: f64 = 1e5;
const PROCESSORS: f64 = 128.0;

impl Rates {
    /// Reads the document that `make rates` writes; `name` is the source of the text.
    ///
    /// # Errors
    /// The text is not such a document, or lacks a rate.
    pub fn read(name: &Path, text: &[u8]) -> Result<Self, Trouble> {
        let refuse = |reason: String| {
            let mend = "give a file that `make rates` wrote";
            Trouble::Findings(vec![format!("{}: {reason}: {mend}", name.display())])
        };
        let rates: Self = serde_json::from_slice(text).map_err(|error| refuse(format!("not rates: {error}")))?;
        if let Some(rate) = rates.rates.iter().find(|rate| !(rate.per_second.is_finite() && rate.per_second > 0.0)) {
            return Err(refuse(format!("the rate of {} is not above 0", rate.what)));
        }
        if let Some(what) = [MODEL, GUEST].into_iter().find(|what| rates.of(what).is_none()) {
            return Err(refuse(format!("no rate of {what}")));
        }
        if rates.file_systems().next().is_none() {
            return Err(refuse("no rate of a file system".into()));
        }
        Ok(rates)
    }

    fn of(&self, what: &str) -> Option<f64> {
        self.rates.iter().find(|rate| rate.what == what).map(|rate| rate.per_second)
    }

    fn file_systems(&self) -> impl Iterator<Item = &Rate> {
        self.rates.iter().filter(|rate| rate.what != MODEL && rate.what != GUEST)
    }
}

/// How to measure; shown in a book without rates.
const NO_RATES: &str = "\
This book was built without rates. A machine measures its own, and the book takes them:

```sh
make rates
iomap-spec book --rates target/rates.json
```
";

/// The text of the chapter.
pub(super) fn chapter(rates: Option<&Rates>) -> String {
    let head = "# What a wide run costs\n\n";
    match rates {
        None => head.to_owned() + NO_RATES,
        Some(rates) => head.to_owned() + &computed(rates),
    }
}

fn computed(rates: &Rates) -> String {
    let systems: Vec<&Rate> = rates.file_systems().collect();
    let (model, guest) = (rates.of(MODEL).unwrap_or(1.0), rates.of(GUEST).unwrap_or(1.0));
    let day = rates.started.get(..10).unwrap_or(&rates.started);
    let pairs = KERNELS * systems.len() as f64;

    let measured = rates.rates.iter().map(|rate| {
        let what = match rate.what.as_str() {
            MODEL => "calls on the reference, in its process".into(),
            GUEST => "guests, from start to end, with one case".into(),
            fs => format!("calls on {}", escape(fs)),
        };
        [what, figure(rate.per_second), format!("<code>{}</code>", escape(&rate.by))]
    });
    let once = |rate: &Rate, calls: f64| calls / rate.per_second;
    let all = |calls: f64| KERNELS * systems.iter().map(|rate| once(rate, calls)).sum::<f64>();
    let rows = |calls: f64| {
        let of_system = systems
            .iter()
            .map(move |rate| [escape(&rate.what), duration(once(rate, calls)), duration(KERNELS * once(rate, calls))]);
        of_system.chain([["together".into(), String::new(), duration(all(calls))]]).collect::<Vec<_>>()
    };
    let kernels = format!("{KERNELS} kernels");
    let head = ["file system", "one kernel", kernels.as_str()];
    format!(
        "{KERNELS} kernels, {} file systems on each, and {} calls on each pair: what would that cost on a machine such \
         as the one that measured these rates? It did so on {day}, with {} processors and Linux {}.\n\n{}\n\n\
         A call is one of a mix of reads, writes, allocations, truncations and names, by one thread, and nothing is \
         checked after it. So each time below is the least: checks cost more, and so does a guest without KVM.\n\n\
         ## Every call on every kernel\n\n{}\n\n\
         The guests alone, {pairs} of them, take {} to boot one after the other. {PROCESSORS} such processors would need {} \
         for the calls.\n\n\
         ## Chosen calls on every kernel\n\n\
         The reference makes {} calls in {}. If it makes them all, and a kernel repeats only {} of them that reached \
         something new:\n\n{}\n\n\
         With the boots this is {}, or {} of the time that every call on every kernel takes.\n",
        systems.len(),
        figure(CALLS),
        rates.processors,
        escape(&rates.kernel.release),
        table("Rates", ["rate", "a second", "measured by"], measured),
        table("Times of all calls", head, rows(CALLS)),
        duration(pairs / guest),
        duration(all(CALLS) / PROCESSORS),
        figure(CALLS),
        duration(CALLS / model),
        figure(CHOSEN),
        table("Times of chosen calls", head, rows(CHOSEN)),
        duration(CALLS / model + all(CHOSEN) + pairs / guest),
        share((CALLS / model + all(CHOSEN) + pairs / guest) / (all(CALLS) + pairs / guest)),
    )
}

fn table(label: &str, head: [&str; 3], rows: impl IntoIterator<Item = [String; 3]>) -> String {
    let head: String = head.iter().map(|cell| format!("<th>{cell}</th>")).collect();
    let rows: String = rows
        .into_iter()
        .map(|[first, second, third]| {
            format!("<tr><th scope=\"row\">{first}</th><td>{second}</td><td>{third}</td></tr>")
        })
        .collect();
    scrolling(label, &format!("<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"))
}

/// A number with commas between thousands; below 100 with three digits.
fn figure(number: f64) -> String {
    if number < 100.0 {
        let digits = if number < 1.0 { 3 } else { 1 };
        return format!("{number:.digits$}");
    }
    let digits = format!("{number:.0}");
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// A time in the largest unit of which there are at least two.
fn duration(seconds: f64) -> String {
    const UNITS: [(f64, &str); 4] =
        [(365.25 * 86400.0, "years"), (86400.0, "days"), (3600.0, "hours"), (60.0, "minutes")];
    match UNITS.iter().find(|(unit, _)| seconds >= 2.0 * unit) {
        Some((unit, name)) => format!("{} {name}", figure(seconds / unit)),
        None if seconds < 10.0 => format!("{seconds:.1} seconds"),
        None => format!("{seconds:.0} seconds"),
    }
}

fn share(part: f64) -> String {
    format!("1/{}", figure((1.0 / part).round().max(1.0)).trim_end_matches(".0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: &str = r#"{"schema": 1, "started": "2026-11-29T19:00:00Z", "kernel": {"release": "6.12"}, "processors": 2,
        "rates": [{"what": "model", "per_second": 1000000, "by": "one"}, {"what": "xfs", "per_second": 10000, "by": "two"},
        {"what": "ext4", "per_second": 20000, "by": "two"}, {"what": "guest", "per_second": 0.1, "by": "three"}]}"#;

    fn read(text: &str) -> Result<Rates, String> {
        Rates::read(Path::new("rates.json"), text.as_bytes()).map_err(|trouble| trouble.to_string())
    }

    #[test]
    fn costs_follow_from_rates() {
        let text = chapter(Some(&read(RATES).unwrap()));
        for row in [
            // 10^9 calls: 10^5 and 5·10^4 seconds, and 50 times that.
            "xfs</th><td>27.8 hours</td><td>57.9 days",
            "ext4</th><td>13.9 hours</td><td>28.9 days",
            "together</th><td></td><td>86.8 days",
            // 100 guests at 10 seconds each, and the days on 128 processors.
            "100 of them, take 16.7 minutes to boot",
            "128 such processors would need 16.3 hours",
            // 10^5 calls: 10 and 5 seconds.
            "The reference makes 1,000,000,000 calls in 16.7 minutes.",
            "xfs</th><td>10 seconds</td><td>8.3 minutes",
            "With the boots this is 45.8 minutes, or 1/2,728 of the time",
        ] {
            assert!(text.contains(row), "{row}: {text}");
        }
    }

    #[test]
    fn what_is_no_rates() {
        for (text, reason) in [
            ("[]", "not rates: "),
            (&RATES.replace("10000,", "0,"), "the rate of xfs is not above 0"),
            (&RATES.replace("guest", "guests"), "no rate of guest"),
            (&RATES.replace("xfs", "model").replace("ext4", "model"), "no rate of a file system"),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.starts_with(&format!("rates.json: {reason}")), "{said}");
            assert!(said.ends_with(": give a file that `make rates` wrote"), "{said}");
        }
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(
            [0.1234, 1.55, 99.94, 100.4, 12345.6, 1e9].map(figure),
            ["0.123", "1.6", "99.9", "100", "12,346", "1,000,000,000"]
        );
        assert_eq!(
            [1.4, 119.0, 120.0, 7200.0, 172_800.0, 1e9].map(duration),
            ["1.4 seconds", "119 seconds", "2.0 minutes", "2.0 hours", "2.0 days", "31.7 years"]
        );
    }
}
