//! Who asks: what is theirs, and what they may.

use std::sync::Arc;
use std::time::Duration;

use firebox_api::{Refusal, RefusalCode};
use firebox_engine::Partition;
use firebox_job::{CellKind, Isolation, Outcome, Policy};

use crate::admission::{Bounds, Owner};
use crate::answer::Refusing;
use crate::keys::Holder;

/// Whoever sent a request, as the door found out. It goes with the request to whatever answers it.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Under what name their jobs are filed. No secret, and never empty; the same for as long as their key is good, and
    /// never that of another key.
    pub(crate) name: Arc<str>,
    /// Whose turn it is when theirs comes, and what they may have at once.
    pub(crate) owner: Owner,
    /// Compiled results that are theirs alone, so that timing tells nobody what others ran.
    pub(crate) partition: Arc<Partition>,
    standing: Standing,
}

/// What they may.
#[derive(Debug, Clone)]
enum Standing {
    /// All that anybody may, where there are no keys.
    Anybody,
    /// What their key grants.
    Holder(Arc<Holder>),
    /// Nothing any more: their key has been revoked, and jobs of theirs are still on disk.
    Gone,
}

impl Caller {
    /// The one there is where there are no keys.
    pub(crate) fn everybody() -> Caller {
        let name = "everybody";
        let owner = Owner::NOBODY;
        Caller { name: name.into(), owner, partition: Arc::new(Partition::named(name)), standing: Standing::Anybody }
    }

    /// Somebody who has a key.
    pub(crate) fn holding(holder: Arc<Holder>) -> Caller {
        let (name, partition) = (Arc::clone(&holder.name), Arc::clone(&holder.partition));
        Caller { name, owner: holder.owner(), partition, standing: Standing::Holder(holder) }
    }

    /// Somebody whose key has been revoked, by the name under which jobs of theirs are still filed.
    pub(crate) fn gone(name: &str) -> Caller {
        let owner = Owner { number: u64::MAX, bounds: Bounds { shares: true, ..Bounds::default() } };
        Caller { name: name.into(), owner, partition: Arc::new(Partition::named(name)), standing: Standing::Gone }
    }

    fn holder(&self) -> Option<&Arc<Holder>> {
        match &self.standing {
            Standing::Holder(holder) => Some(holder),
            Standing::Anybody | Standing::Gone => None,
        }
    }

    /// What they are granted, of what the operator grants everybody.
    pub(crate) fn policy(&self, all: &Policy) -> Policy {
        self.holder().map_or(*all, |holder| all.at_most(&holder.grant.most))
    }

    /// Whether their jobs may be in this language.
    pub(crate) fn may_use(&self, language: &str) -> Result<(), Refusing> {
        let Some(holder) = self.holder().filter(|holder| !holder.grant.allows_language(language)) else {
            return Ok(());
        };
        let languages = holder.grant.languages.as_deref().unwrap_or_default().join("`, `");
        let refusal = Refusal::new(RefusalCode::Forbidden, format!("this key is not for {language}")).at("lang");
        Err(Refusal { expected: Some(format!("`{languages}`")), ..refusal }.into())
    }

    /// Whether their jobs may run where this one asks to, on a host that makes cells of this kind.
    pub(crate) fn may_run_in(&self, asked: Isolation, made: CellKind) -> Result<(), Refusing> {
        let kind = asked.kind().unwrap_or(made);
        let Some(holder) = self.holder().filter(|holder| !holder.grant.allows_cell(kind)) else { return Ok(()) };
        let kinds = holder.grant.isolation.as_deref().unwrap_or_default();
        let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        let refusal = Refusal::new(RefusalCode::Forbidden, format!("this key is not for isolation `{kind}`"));
        let refusal = Refusal { expected: Some(format!("`{}`", kinds.join("`, `"))), ..refusal.at("isolation") };
        Err(match asked.kind() {
            Some(_) => refusal,
            None => refusal.with_hint(format!("`{made}` is what there is here")),
        }
        .into())
    }

    /// Whether a job of theirs may begin now: looked at when it comes, and again when its turn has come.
    pub(crate) fn may_begin(&self) -> Result<(), Refusing> {
        let is_revoked = self.holder().is_some_and(|holder| holder.is_revoked());
        if is_revoked || matches!(self.standing, Standing::Gone) {
            return Err(Refusing::unauthorized("the key of this job has been revoked while the job waited"));
        }
        let Some(holder) = self.holder() else { return Ok(()) };
        holder.has_cpu().map_err(|until| {
            let most = holder.grant.cpu_per_day.unwrap_or_default().as_secs_f64();
            Refusing::quota(format!("the jobs of this key have had their {most} s of CPU time of this day"), until)
                .hinting("a day is from midnight to midnight, by UTC")
        })
    }

    /// What a job of theirs has taken, whoever still wants to know its outcome.
    pub(crate) fn charge(&self, outcome: &Outcome) {
        if let Some(holder) = self.holder() {
            // What was kept from an earlier job took nothing now.
            let steps = outcome.steps.iter().filter(|step| !step.kept);
            holder.spend(steps.map(|step| step.usage.cpu).sum::<Duration>());
        }
    }
}
