//! Bugs planted in the model, each of which breaks a promise: a simulation that does not find them
//! would not find their like in the product either.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PlantedBug {
    /// An event is acknowledged, and recorded after that.
    AckBeforeRecord,
    /// Capacity in use is counted up with each create and down with each end.
    CountedNotDerived,
    /// A worker whose end was asked for counts as ended.
    RetryBeforeEnd,
    /// Redis takes writes of a leader whose Lease has gone to another one since.
    NoTransitionCheck,
    /// A replica calls the API server without a look at its tenure.
    NoTenureCheck,
    /// What is left of an ended worker is removed as soon as its end is on record.
    PodBeforeLog,
}

impl PlantedBug {
    pub(super) const ALL: [Self; 6] = [
        Self::AckBeforeRecord,
        Self::CountedNotDerived,
        Self::RetryBeforeEnd,
        Self::NoTransitionCheck,
        Self::NoTenureCheck,
        Self::PodBeforeLog,
    ];
}
