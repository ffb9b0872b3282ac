//! Stages in the order in which they can be run, several at a time.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::Result;
use temper_train::experiment::Stage;

use super::stage::Ended;

/// The stages to be run.
pub(super) struct Graph<'a> {
    /// Each behind what it needs.
    pub(super) stages: Vec<Stage>,
    /// Which of them a stage needs.
    pub(super) needs: &'a (dyn Fn(Stage) -> Option<Stage> + Sync),
}

/// Told how each stage ended, one after another.
pub(super) type Told<'a> = &'a mut (dyn FnMut(Stage, &Ended) -> Result<()> + Send);

/// What the workers share.
struct Shared<'a> {
    /// Stages that have not begun, in order.
    waiting: Vec<Stage>,
    ended: BTreeMap<Stage, Ended>,
    told: Told<'a>,
    error: Option<anyhow::Error>,
}

impl Graph<'_> {
    /// Runs all stages, `jobs` at a time. What needs a stage that failed or is of no use is not run; when one was stopped, no other begins.
    /// Returns whether none was stopped.
    ///
    /// # Errors
    /// When `told` fails; then no other stage begins.
    pub(super) fn run(
        self,
        jobs: usize,
        run: &(dyn Fn(Stage) -> Ended + Sync),
        told: Told<'_>,
    ) -> Result<bool> {
        let shared = Shared { waiting: self.stages, ended: BTreeMap::new(), told, error: None };
        let (shared, changed) = (Mutex::new(shared), Condvar::new());
        thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| work(&shared, &changed, self.needs, run));
            }
        });
        let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        let is_stopped = shared.is_stopped();
        shared.error.map_or(Ok(!is_stopped), Err)
    }
}

fn work(
    shared: &Mutex<Shared<'_>>,
    changed: &Condvar,
    needs: &dyn Fn(Stage) -> Option<Stage>,
    run: &dyn Fn(Stage) -> Ended,
) {
    let mut all = lock(shared);
    while all.error.is_none() && !all.is_stopped() {
        let Some(stage) = all.next(needs) else {
            if all.waiting.is_empty() {
                return;
            }
            all = changed.wait(all).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        drop(all);
        // A bug in one stage takes no other with it, and nobody waits for it forever.
        let ended = catch_unwind(AssertUnwindSafe(|| run(stage)));
        let ended = ended.unwrap_or_else(|_| Ended::Failed("a bug in temper".to_owned()));
        all = lock(shared);
        all.error = (all.told)(stage, &ended).err();
        all.ended.insert(stage, ended);
        changed.notify_all();
    }
}

fn lock<'a, 'b>(shared: &'a Mutex<Shared<'b>>) -> MutexGuard<'a, Shared<'b>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared<'_> {
    fn is_stopped(&self) -> bool {
        self.ended.values().any(|ended| *ended == Ended::Stopped)
    }

    /// Takes the first stage that can be run, and drops those that never can. `None`, if all others wait for what is being run.
    fn next(&mut self, needs: &dyn Fn(Stage) -> Option<Stage>) -> Option<Stage> {
        let Self { waiting, ended, .. } = self;
        let is_lost = |stage: &Stage| {
            needs(*stage)
                .is_some_and(|needed| ended.get(&needed).is_some_and(|ended| *ended != Ended::Done(None)))
        };
        // What needs a dropped stage is behind it.
        let mut lost = Vec::new();
        waiting.retain(|stage| {
            let keep = !is_lost(stage) && !needs(*stage).is_some_and(|needed| lost.contains(&needed));
            if !keep {
                lost.push(*stage);
            }
            keep
        });
        let is_ready = |stage: &Stage| needs(*stage).is_none_or(|needed| ended.contains_key(&needed));
        let place = waiting.iter().position(is_ready)?;
        Some(waiting.remove(place))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use temper_train::training::Verdict;

    use super::*;
    use Stage::{Campaign, Training};

    /// Two trainings, the second from the first; a campaign on each, and one on a file.
    fn graph(run: impl Fn(Stage) -> Ended + Sync, jobs: usize) -> (Vec<Stage>, bool) {
        let needs = |stage| match stage {
            Training(1) | Campaign(0) => Some(Training(0)),
            Campaign(1) => Some(Training(1)),
            _ => None,
        };
        let stages = vec![Training(0), Training(1), Campaign(0), Campaign(1), Campaign(2)];
        let mut told = Vec::new();
        let mut tell = |stage, _: &Ended| {
            told.push(stage);
            Ok(())
        };
        let complete = Graph { stages, needs: &needs }.run(jobs, &run, &mut tell).expect("nothing fails");
        (told, complete)
    }

    #[test]
    fn every_stage_runs_once_behind_what_it_needs() {
        for jobs in [1, 2, 8] {
            let (told, complete) = graph(|_| Ended::Done(None), jobs);
            assert!(complete);
            let place = |stage| told.iter().position(|other| *other == stage).expect("it ran");
            assert_eq!(told.len(), 5);
            assert!(place(Training(0)) < place(Training(1)) && place(Training(1)) < place(Campaign(1)));
            assert!(place(Training(0)) < place(Campaign(0)));
        }
    }

    #[test]
    fn what_needs_a_failed_or_useless_stage_is_left_out_and_the_rest_runs() {
        for lost in [Ended::Failed("no".to_owned()), Ended::Done(Some(Verdict::Diverged))] {
            for jobs in [1, 3] {
                let (mut told, complete) =
                    graph(|stage| if stage == Training(0) { lost.clone() } else { Ended::Done(None) }, jobs);
                told.sort();
                assert!(complete);
                assert_eq!(told, [Training(0), Campaign(2)]);
            }
        }
    }

    #[test]
    fn nothing_begins_after_a_stop_and_a_bug_is_a_failure() {
        let begun = AtomicUsize::new(0);
        let (told, complete) = graph(
            |_| {
                begun.fetch_add(1, Ordering::SeqCst);
                Ended::Stopped
            },
            1,
        );
        assert_eq!((told, complete, begun.into_inner()), (vec![Training(0)], false, 1));
        let (told, complete) =
            graph(|stage| if stage == Campaign(2) { panic!("a bug") } else { Ended::Done(None) }, 2);
        assert_eq!((told.len(), complete), (5, true));
    }
}
