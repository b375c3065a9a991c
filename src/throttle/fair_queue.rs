//! A fair queue for a scarce resource, with shares by account, address and site. It decides which queued job is next,
//! and does no I/O. It is used for password checks, each of which occupies a core for a while.
//!
//! Usage is counted for the account, the address and the site: jobs that are queued or running, and recently finished
//! ones, failures more than successes. The client that uses least is next; when the queue is full, the last job of the
//! client that uses most is dropped. So many connections, names or addresses of one network are no advantage, and a
//! single client does not wait behind those with many jobs.
//!
//! A part of the capacity and every second turn are reserved for known browsers without recent failures, so that an
//! attacker with addresses in many networks cannot use them up.

/// The number of counters of each kind. Names with the same hash, which an attacker cannot compute, share a counter and
/// so one fair share.
const COUNTERS: usize = 1024;
/// The number of turns after which the counts of finished jobs are halved.
const HALF_LIFE: u32 = 64;
/// The counters of accounts and addresses weigh this many times as much as that of a site, which may have many users.
const ADDRESSES_OF_A_SITE: u32 = 4;
/// The weight of a failure, relative to a success.
const FAILURE: u16 = 4;

/// The account, address and site for which a job is counted, as keyed hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// The account.
    pub(crate) account: u64,
    /// The IPv4 address, or the /64 of an IPv6 address.
    pub(crate) address: u64,
    /// The /48 of an IPv6 address; for others the same as `address`.
    pub(crate) site: u64,
    /// Whether the client is a known browser without recent failures.
    pub(crate) is_known: bool,
}

/// The capacity of the queue, in jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueLimits {
    /// The capacity for all clients.
    pub(crate) for_all: usize,
    /// The additional capacity for known browsers.
    pub(crate) for_known: usize,
}

/// Why a job was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueueFull {
    /// The account, address or site of the job already uses its share.
    OwnShare,
    /// The queue is full with jobs of other clients.
    Everywhere,
}

/// Identifies a queued job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WaiterId(u64);

struct Waiter<T> {
    number: WaiterId,
    share: Share,
    job: T,
}

/// The queued jobs, and the usage of each client.
pub(crate) struct FairQueue<T> {
    places: QueueLimits,
    usage: Usage,
    known: Vec<Waiter<T>>,
    others: Vec<Waiter<T>>,
    last_number: u64,
    last_was_known: bool,
}

impl<T> FairQueue<T> {
    /// An empty queue.
    pub(crate) fn new(places: QueueLimits) -> Self {
        Self {
            places,
            usage: Usage::new(),
            known: Vec::new(),
            others: Vec::new(),
            last_number: 0,
            last_was_known: false,
        }
    }

    /// Adds a job. If the queue is full, one job is dropped and returned, possibly the new one.
    pub(crate) fn enter(&mut self, share: Share, job: T) -> (WaiterId, Option<(T, QueueFull)>) {
        self.last_number += 1;
        let number = WaiterId(self.last_number);
        self.usage.enter(share);
        let entrant = Waiter { number, share, job };
        let Self { places, usage, known, others, .. } = self;
        let without = if share.is_known { admit(known, places.for_known, usage, entrant) } else { Some(entrant) };
        // If the reserved capacity is used up, a known browser competes for the general one.
        let without = without.and_then(|waiting| admit(others, places.for_all, usage, waiting));
        let lost = without.map(|waiting| {
            let crowded = usage.queue_full(waiting.share);
            usage.leave(waiting.share);
            (waiting.job, crowded)
        });
        (number, lost)
    }

    /// Removes and returns the next job. It counts as running until [`FairQueue::done`] is called.
    pub(crate) fn take_turn(&mut self) -> Option<(Share, T)> {
        let known_first = !self.last_was_known;
        let is_known = if known_first { !self.known.is_empty() } else { self.others.is_empty() };
        let lane = if is_known { &mut self.known } else { &mut self.others };
        let least = |waiting: &&Waiter<T>| (self.usage.of(waiting.share), waiting.number);
        let number = lane.iter().min_by_key(least)?.number;
        let waiting = take(lane, number)?;
        self.last_was_known = is_known;
        Some((waiting.share, waiting.job))
    }

    /// The number of queued jobs.
    pub(crate) fn waiting(&self) -> usize {
        self.known.len() + self.others.len()
    }

    /// Records that a job has finished.
    pub(crate) fn done(&mut self, share: Share, went_well: bool) {
        self.usage.served(share, if went_well { 1 } else { FAILURE });
    }

    /// Removes a queued job and returns it, unless it was taken already.
    pub(crate) fn leave(&mut self, number: WaiterId) -> Option<T> {
        let waiting = take(&mut self.known, number).or_else(|| take(&mut self.others, number))?;
        self.usage.leave(waiting.share);
        Some(waiting.job)
    }
}

/// Adds a job. If there are more than `places`, the last job of the client that uses most is removed and returned.
fn admit<T>(lane: &mut Vec<Waiter<T>>, places: usize, usage: &Usage, entrant: Waiter<T>) -> Option<Waiter<T>> {
    lane.push(entrant);
    if lane.len() <= places {
        return None;
    }
    let most = lane.iter().map(|waiting| (usage.of(waiting.share), waiting.number)).max();
    most.and_then(|(_, number)| take(lane, number))
}

fn take<T>(lane: &mut Vec<Waiter<T>>, number: WaiterId) -> Option<Waiter<T>> {
    let at = lane.iter().position(|waiting| waiting.number == number)?;
    Some(lane.remove(at))
}

/// The usage of one account, address or site.
#[derive(Clone, Copy, Default)]
struct Counter {
    /// The number of queued and running jobs.
    present: u16,
    /// The weighted number of finished jobs, halved every [`HALF_LIFE`] turns.
    served: u16,
}

/// The usage of all clients.
struct Usage {
    accounts: Box<[Counter]>,
    addresses: Box<[Counter]>,
    sites: Box<[Counter]>,
    turns: u32,
}

impl Usage {
    fn new() -> Self {
        let counters = || vec![Counter::default(); COUNTERS].into_boxed_slice();
        Self { accounts: counters(), addresses: counters(), sites: counters(), turns: 0 }
    }

    fn enter(&mut self, share: Share) {
        self.change(share, |counter| counter.present = counter.present.saturating_add(1));
    }

    fn leave(&mut self, share: Share) {
        self.change(share, |counter| counter.present = counter.present.saturating_sub(1));
    }

    fn served(&mut self, share: Share, weight: u16) {
        self.change(share, |counter| {
            counter.present = counter.present.saturating_sub(1);
            counter.served = counter.served.saturating_add(weight);
        });
        self.turns += 1;
        if self.turns.is_multiple_of(HALF_LIFE) {
            let all = [&mut self.accounts, &mut self.addresses, &mut self.sites];
            all.into_iter().flatten().for_each(|counter| counter.served /= 2);
        }
    }

    /// The weighted usage of a share, for comparisons.
    fn of(&self, share: Share) -> u32 {
        let [account, address, site] =
            self.counters(share).map(|Counter { present, served }| u32::from(present) + u32::from(served));
        (account + address) * ADDRESSES_OF_A_SITE + site
    }

    fn queue_full(&self, share: Share) -> QueueFull {
        let has_others = self.counters(share).iter().any(|counter| counter.present > 1);
        if has_others { QueueFull::OwnShare } else { QueueFull::Everywhere }
    }

    fn counters(&self, share: Share) -> [Counter; 3] {
        let of = |counters: &[Counter], hash| counters.get(index(hash)).copied().unwrap_or_default();
        [of(&self.accounts, share.account), of(&self.addresses, share.address), of(&self.sites, share.site)]
    }

    fn change(&mut self, share: Share, change: impl Fn(&mut Counter)) {
        let places =
            [(&mut self.accounts, share.account), (&mut self.addresses, share.address), (&mut self.sites, share.site)];
        for (counters, hash) in places {
            if let Some(counter) = counters.get_mut(index(hash)) {
                change(counter);
            }
        }
    }
}

fn index(hash: u64) -> usize {
    hash as usize % COUNTERS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACES: QueueLimits = QueueLimits { for_all: 48, for_known: 16 };

    /// A share of an account at an address.
    fn share(account: u64, address: u64) -> Share {
        Share { account, address: 300 + address, site: 300 + address, is_known: false }
    }

    fn known(account: u64, address: u64) -> Share {
        Share { is_known: true, ..share(account, address) }
    }

    /// Adds a job with the number 0 for each share.
    fn enter_many(shares: &mut FairQueue<u64>, crowd: impl Iterator<Item = Share>) {
        for share in crowd {
            shares.enter(share, 0);
        }
    }

    /// Runs the given number of turns, and returns their jobs. `goes_well` says which of them succeed.
    fn serve(shares: &mut FairQueue<u64>, turns: usize, goes_well: impl Fn(u64) -> bool) -> Vec<u64> {
        let one = |_| {
            let (share, job) = shares.take_turn()?;
            shares.done(share, goes_well(job));
            Some(job)
        };
        (0..turns).map_while(one).collect()
    }

    #[test]
    fn equal_clients_are_served_in_order() {
        let mut shares = FairQueue::new(PLACES);
        for job in 0..20 {
            assert_eq!(shares.enter(share(job, job), job).1, None);
        }
        assert_eq!(serve(&mut shares, 100, |_| true), (0..20).collect::<Vec<_>>());
        assert!(shares.take_turn().is_none());
    }

    /// 96 connections that retry at once, and 20 users who try one after another, from the same address or another one.
    #[test]
    fn one_account_on_many_connections_delays_no_other_user() {
        for address in [0, 7] {
            let mut shares = FairQueue::new(PLACES);
            enter_many(&mut shares, (0..96).map(|_| share(0, 0)));
            for person in 1..=20 {
                assert_eq!(shares.enter(share(person, address), person).1, Some((0, QueueFull::OwnShare)));
                assert_eq!(serve(&mut shares, 1, |_| true), [person], "at {address}");
                serve(&mut shares, 4, |_| true);
                enter_many(&mut shares, (0..10).map(|_| share(0, 0)));
            }
        }
    }

    /// Each attempt has a new name. The users come all at once, each from a separate address or all from one, which
    /// looks like an attack as well until the attacker's attempts have failed.
    #[test]
    fn random_names_from_eight_addresses_delay_no_other_user_for_long() {
        let places = QueueLimits { for_all: 256, ..PLACES };
        for (own_addresses, most) in [(true, 20), (false, 48)] {
            let mut shares = FairQueue::new(places);
            enter_many(&mut shares, (0..96).map(|number| share(400 + number, number % 8)));
            for person in 1..=20 {
                let address = if own_addresses { 20 + person } else { 20 };
                assert_eq!(shares.enter(share(person, address), person).1, None);
            }
            let served = serve(&mut shares, 200, |job| job > 0);
            let last = served.iter().rposition(|&job| job > 0).unwrap();
            assert!(last < most, "the last of 20 is served as number {last}: {served:?}");
        }
    }

    #[test]
    fn many_networks_of_one_site_count_as_one_client() {
        let mut shares = FairQueue::new(PLACES);
        let of_site = |number| Share { site: 900, ..share(400 + number, number) };
        enter_many(&mut shares, (0..100).map(of_site));
        assert_eq!(shares.enter(share(1, 200), 1).1, Some((0, QueueFull::OwnShare)));
        assert_eq!(serve(&mut shares, 1, |_| false), [1]);
    }

    #[test]
    fn clients_that_were_served_less_come_first() {
        let mut shares = FairQueue::new(PLACES);
        for _ in 0..10 {
            shares.enter(share(1, 1), 1);
            serve(&mut shares, 1, |_| true);
        }
        shares.enter(share(1, 1), 1);
        shares.enter(share(2, 2), 2);
        assert_eq!(serve(&mut shares, 2, |_| true), [2, 1]);
        for number in 0..1000 {
            shares.enter(share(3 + number % 50, 3 + number % 50), 3);
            serve(&mut shares, 1, |_| true);
        }
        shares.enter(share(1, 1), 1);
        shares.enter(share(2, 2), 2);
        assert_eq!(serve(&mut shares, 2, |_| true), [1, 2], "past usage has decayed");
    }

    #[test]
    fn failures_count_more_than_successes() {
        let mut shares = FairQueue::new(PLACES);
        for job in [1, 1, 2] {
            shares.enter(share(job, job), job);
            serve(&mut shares, 1, |job| job == 1);
        }
        shares.enter(share(2, 2), 2);
        shares.enter(share(1, 1), 1);
        assert_eq!(serve(&mut shares, 2, |_| true), [1, 2]);
    }

    /// An attacker with very many networks, each of which uses as little as a single user.
    #[test]
    fn known_browsers_have_reserved_capacity_and_turns() {
        let mut shares = FairQueue::new(PLACES);
        let lost = |entered: (WaiterId, Option<(u64, QueueFull)>)| entered.1;
        let unknown = (100..148).map(|number| lost(shares.enter(share(number, number), 0)));
        assert!(unknown.eq(std::iter::repeat_n(None, 48)));
        assert_eq!(lost(shares.enter(share(150, 150), 1)), Some((1, QueueFull::Everywhere)));
        for person in 2..=17 {
            assert_eq!(lost(shares.enter(known(person, person), person)), None);
        }
        assert_eq!(lost(shares.enter(known(18, 18), 18)), Some((18, QueueFull::Everywhere)));
        let served = serve(&mut shares, 8, |_| true);
        assert_eq!(served, [2, 0, 3, 0, 4, 0, 5, 0], "every second turn");
    }

    #[test]
    fn one_known_browser_cannot_fill_the_reserved_capacity() {
        let mut shares = FairQueue::new(PLACES);
        enter_many(&mut shares, (0..96).map(|_| known(0, 0)));
        assert_eq!(shares.enter(known(1, 1), 1).1, Some((0, QueueFull::OwnShare)));
        assert_eq!(shares.enter(share(2, 2), 2).1, Some((0, QueueFull::OwnShare)));
        let mut served = serve(&mut shares, 2, |_| true);
        served.sort_unstable();
        assert_eq!(served, [1, 2]);
    }

    #[test]
    fn a_job_that_leaves_frees_its_place() {
        let mut shares = FairQueue::new(QueueLimits { for_all: 1, for_known: 1 });
        let (unknown, _) = shares.enter(share(1, 1), 1);
        let (person, _) = shares.enter(known(2, 2), 2);
        assert_eq!((shares.leave(unknown), shares.leave(person)), (Some(1), Some(2)));
        assert_eq!(shares.leave(unknown), None);
        assert_eq!(shares.enter(share(3, 3), 3).1, None);
        let (share, _) = shares.take_turn().unwrap();
        shares.done(share, true);
        assert!(shares.take_turn().is_none());
    }

    #[derive(Clone, Copy, Debug)]
    enum Operation {
        Enter(u64, u64, bool),
        Serve(bool),
        Leave(usize),
    }

    fn step() -> impl Strategy<Value = Operation> {
        prop_oneof![
            4 => (0..6_u64, 0..4_u64, any::<bool>()).prop_map(|(account, address, is_known)| {
                Operation::Enter(account, address, is_known)
            }),
            2 => any::<bool>().prop_map(Operation::Serve),
            1 => any::<usize>().prop_map(Operation::Leave),
        ]
    }

    proptest! {
        /// Every job is served, dropped or withdrawn exactly once, the capacity is never exceeded, and afterwards the
        /// usage is zero.
        #[test]
        fn every_job_leaves_the_queue_exactly_once(steps in prop::collection::vec(step(), 0..300)) {
            let mut shares = FairQueue::new(QueueLimits { for_all: 5, for_known: 2 });
            let (mut entered, mut gone, mut numbers) = (0, 0, Vec::new());
            for step in steps {
                match step {
                    Operation::Enter(account, address, is_known) => {
                        let (number, lost) = shares.enter(Share { is_known, ..share(account, address) }, entered);
                        numbers.push(number);
                        entered += 1;
                        gone += usize::from(lost.is_some());
                    }
                    Operation::Serve(went_well) => gone += serve(&mut shares, 1, |_| went_well).len(),
                    Operation::Leave(at) if !numbers.is_empty() => {
                        gone += usize::from(shares.leave(numbers[at % numbers.len()]).is_some());
                    }
                    Operation::Leave(_) => {}
                }
                prop_assert!(shares.others.len() <= 5 && shares.known.len() <= 2);
                prop_assert_eq!(shares.others.len() + shares.known.len(), entered as usize - gone);
            }
            serve(&mut shares, 7, |_| true);
            let usage = &shares.usage;
            let counters = usage.accounts.iter().chain(&usage.addresses).chain(&usage.sites);
            prop_assert_eq!(counters.map(|counter| u32::from(counter.present)).sum::<u32>(), 0);
        }

        /// A single client is next, however many jobs wait, unless other single clients came before.
        #[test]
        fn a_single_client_is_next(steps in prop::collection::vec((0..6_u64, 0..4_u64), 100..300)) {
            let mut shares = FairQueue::new(PLACES);
            for (account, address) in steps {
                shares.enter(share(account, address), 0);
                if account == 0 {
                    serve(&mut shares, 1, |_| true);
                }
            }
            let (_, lost) = shares.enter(share(100, 100), 1);
            prop_assert!(lost.is_none_or(|(job, crowded)| job == 0 && crowded == QueueFull::OwnShare));
            prop_assert_eq!(serve(&mut shares, 1, |_| true), [1]);
        }
    }
}
