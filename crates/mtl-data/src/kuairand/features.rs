//! Which features there are, and the columns behind them.

use mtl_feature::{FeatureSpec, Transform};

/// How many features to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FeatureSet {
    /// The 16 categorical features that tutorials on this data use: user_id, video_id,
    /// user_active_degree, is_live_streamer, is_video_author, the ranges of follow_user_num,
    /// fans_user_num, friend_user_num and register_days, author_id, video_type, upload_type,
    /// visible_status, music_id, music_type, and the first of a video's tags.
    #[default]
    Tutorial,
    /// Those, and 27 more that are known when a video is shown: tab, hour, weekday, the duration and
    /// the age of the video in buckets, the 18 encrypted `onehot_feat`, and the user's numbers of
    /// followed, fans, friends and days since registration (log1p, standardised).
    Rich,
}

/// Columns of the table of users that are categories in both sets.
const USER: [&str; 7] = [
    "user_active_degree",
    "is_live_streamer",
    "is_video_author",
    "follow_user_num_range",
    "fans_user_num_range",
    "friend_user_num_range",
    "register_days_range",
];

/// Columns of the table of users that are counts.
const COUNTS: [&str; 4] = ["follow_user_num", "fans_user_num", "friend_user_num", "register_days"];

/// Columns of the table of videos that are categories in both sets.
const VIDEO: [&str; 6] =
    ["author_id", "video_type", "upload_type", "visible_status", "music_id", "music_type"];

/// Encrypted columns of the table of users, `onehot_feat0` and so on.
const N_ONE_HOT: usize = 18;

/// Names of columns that are not in the files but made of them.
pub(super) const TAG: &str = "tag";
pub(super) const HOUR: &str = "hour";
pub(super) const WEEKDAY: &str = "weekday";
pub(super) const VIDEO_AGE: &str = "video_age";

/// The features of a set.
pub fn features(set: FeatureSet) -> Vec<FeatureSpec> {
    let ids = ["user_id", "video_id", TAG];
    let names = ids.into_iter().chain(USER).chain(VIDEO);
    let mut features: Vec<FeatureSpec> = names.map(FeatureSpec::categorical).collect();
    if set == FeatureSet::Rich {
        let context = ["tab", HOUR, WEEKDAY].map(str::to_owned).into_iter().chain(one_hot());
        features.extend(context.map(FeatureSpec::categorical));
        features.push(FeatureSpec::numeric("duration").column("duration_ms").quantiles(20));
        features.push(FeatureSpec::numeric(VIDEO_AGE).quantiles(20));
        let count = |name| FeatureSpec::numeric(name).transform(Transform::Log1pStandardise);
        features.extend(COUNTS.map(count));
    }
    features
}

fn one_hot() -> impl Iterator<Item = String> {
    (0..N_ONE_HOT).map(|i| format!("onehot_feat{i}"))
}

/// What is read of the table of users, beside the id.
pub(super) fn user_columns(set: FeatureSet) -> Vec<String> {
    let mut columns = USER.map(str::to_owned).to_vec();
    if set == FeatureSet::Rich {
        columns.extend(COUNTS.map(str::to_owned).into_iter().chain(one_hot()));
    }
    columns
}

/// What is read of the table of videos, beside the id, as it is.
pub(super) fn video_columns() -> Vec<String> {
    VIDEO.map(str::to_owned).to_vec()
}

/// What is read of the log for features.
pub(super) fn log_columns(set: FeatureSet) -> &'static [&'static str] {
    match set {
        FeatureSet::Tutorial => &[],
        FeatureSet::Rich => &["tab", "hourmin", "duration_ms"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sets_have_their_sizes_and_nothing_known_only_afterwards() {
        let rich = features(FeatureSet::Rich);
        assert_eq!((features(FeatureSet::Tutorial).len(), rich.len()), (16, 43));
        let afterwards =
            ["play_time_ms", "stay_time", "is_click", "is_like", "long_view", "is_rand"];
        for feature in &rich {
            assert!(!afterwards.iter().any(|name| feature.column_name().contains(name)));
        }
    }
}
