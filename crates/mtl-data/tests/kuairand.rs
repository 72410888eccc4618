//! KuaiRand's folder: a small one made here, and the real one where its place is given.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use mtl_data::kuairand::{self, FeatureSet, Loaded};
use mtl_feature::{FeatureTable, MISSING, UNSEEN};
use tempfile::TempDir;

const LOG: &str = "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,long_view,\
                   play_time_ms,duration_ms,is_rand,tab\n";

fn log_row(user: u32, video: u32, date: u32, hourmin: u32, outcomes: [u8; 3]) -> String {
    let [click, like, long] = outcomes;
    format!("{user},{video},{date},{hourmin},1,{click},{like},0,{long},9,{},0,1\n", 1000 * video)
}

/// Two logs: seven days from 28 April to 4 May, a row for each of three users.
fn logs() -> [String; 2] {
    let mut logs = [LOG.to_owned(), LOG.to_owned()];
    for (day, date) in (20220428..=20220430).chain(20220501..=20220504).enumerate() {
        for user in 1..=3 {
            let outcomes = [u8::from(user == 1), u8::from(user != 3), u8::from(user == 3)];
            let hourmin = 100 * (day as u32) + 59;
            let log = &mut logs[usize::from(day > 2)];
            log.push_str(&log_row(user, user + 10, date, hourmin, outcomes));
        }
    }
    logs
}

fn users() -> String {
    let mut users =
        "user_id,user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,\
                     follow_user_num,follow_user_num_range,fans_user_num,fans_user_num_range,\
                     friend_user_num,friend_user_num_range,register_days,register_days_range"
            .to_owned();
    (0..18).for_each(|i| write!(users, ",onehot_feat{i}").unwrap());
    users.push('\n');
    for user in 1..=2 {
        let row = format!("{user},full_active,0,1,0,5,\"(0,10]\",{user},0,3,0,100,61-90");
        let one_hot = if user == 1 { ",1.0".repeat(18) } else { ",".repeat(18) };
        users.push_str(&format!("{row}{one_hot}\n"));
    }
    users
}

fn videos() -> &'static str {
    "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,music_id,\
     music_type,tag\n\
     11,1,NORMAL,2022-04-26,Web,0.0,1,5,9.0,\"12,7\"\n\
     12,2,AD,,Web,0.0,1,5,9.0,\n\
     13,3,NORMAL,2022-04-28,Web,1.0,1,6,9.0,7\n"
}

fn gzip(path: &Path, text: &str) {
    let mut out = GzEncoder::new(fs::File::create(path).unwrap(), Compression::fast());
    out.write_all(text.as_bytes()).unwrap();
    out.finish().unwrap();
}

fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let [first, second] = logs();
    fs::write(folder.path().join("log_standard_4_28_to_4_30_pure.csv"), first).unwrap();
    gzip(&folder.path().join("log_standard_5_01_to_5_04_pure.csv.gz"), &second);
    fs::write(folder.path().join("user_features_pure.csv"), users()).unwrap();
    fs::write(folder.path().join("video_features_basic_pure.csv"), videos()).unwrap();
    folder
}

fn load(folder: &TempDir, set: FeatureSet) -> Loaded {
    kuairand::load(folder.path(), set).unwrap()
}

#[test]
fn a_folder_is_joined_and_split_by_its_last_days() {
    let folder = folder();
    let loaded = load(&folder, FeatureSet::Tutorial);
    let data = &loaded.dataset;
    let sizes = [&data.train, &data.validation, &data.test].map(FeatureTable::n_rows);
    assert_eq!(sizes, [6, 6, 9]);
    let summary = &loaded.summary;
    assert_eq!((summary.rows, summary.duplicates), (21, 0));
    assert_eq!((summary.without_user, summary.without_video), (7, 0));
    assert_eq!(summary.dates, (20220428, 20220504));
    assert_eq!((summary.validation_from, summary.test_from), (20220430, 20220502));
    // User 3 is in no table: known as an id, missing in what the table would say.
    let ids = |name: &str| data.test.ids_of(name).unwrap()[..3].to_vec();
    assert!(ids("user_id").iter().all(|id| *id > MISSING));
    assert_eq!(ids("user_active_degree")[2], MISSING);
    // The first tags are 12, none and 7.
    let tags = ids("tag");
    assert_eq!(tags[1], MISSING);
    assert!(tags[0] != tags[2] && tags[0] > MISSING && tags[2] > MISSING);
}

#[test]
fn a_label_of_the_chain_needs_a_click_and_the_raw_one_does_not() {
    let data = load(&folder(), FeatureSet::Tutorial).dataset;
    let labels = |name: &str| data.test.label_of(name).unwrap()[..3].to_vec();
    assert_eq!(labels("is_click"), [1.0, 0.0, 0.0]);
    assert_eq!(labels("is_like"), [1.0, 1.0, 0.0]);
    assert_eq!(labels("click_like"), [1.0, 0.0, 0.0]);
    assert_eq!(labels("long_view"), [0.0, 0.0, 1.0]);
    assert_eq!(labels("click_long_view"), [0.0, 0.0, 0.0]);
}

#[test]
fn the_rich_set_knows_the_time_and_the_age_of_a_video() {
    let data = load(&folder(), FeatureSet::Rich).dataset;
    assert_eq!(data.schema.features().len(), 43);
    let ids = |table: &FeatureTable, name: &str| table.ids_of(name).unwrap().to_vec();
    // 28 and 29 April were a Thursday and a Friday; the hours are 0 and 1.
    assert_eq!(ids(&data.train, "weekday"), [2, 2, 2, 3, 3, 3]);
    assert_eq!(ids(&data.train, "hour"), [2, 2, 2, 3, 3, 3]);
    // Hours 2 and 3 were in no training row.
    assert_eq!(ids(&data.validation, "hour"), [UNSEEN; 6]);
    // Days from upload in training: 2, unknown, 0, then 3, unknown, 1.
    let age = ids(&data.train, "video_age");
    assert_eq!((age[1], age[4]), (MISSING, MISSING));
    assert!(age[2] < age[5] && age[5] < age[0] && age[0] < age[3], "{age:?}");
    assert_eq!(ids(&data.train, "onehot_feat3"), [2, MISSING, MISSING, 2, MISSING, MISSING]);
    // log1p, standardised over four known rows of two values.
    let fans = data.train.values_of("fans_user_num").unwrap();
    assert_eq!((fans[0], fans[1], fans[2]), (-1.0, 1.0, 0.0));
}

#[test]
fn equal_rows_are_counted_and_kept() {
    let folder = folder();
    let path = folder.path().join("log_standard_4_28_to_4_30_pure.csv");
    let mut log = fs::read_to_string(&path).unwrap();
    let row = log.lines().nth(1).unwrap().to_owned();
    // Equal to the first row; and but for the time.
    log.push_str(&format!("{row}\n{}\n", row.replace(",1,1,1,", ",2,1,1,")));
    fs::write(&path, log).unwrap();
    let loaded = load(&folder, FeatureSet::Tutorial);
    assert_eq!((loaded.summary.rows, loaded.summary.duplicates), (23, 1));
    assert_eq!(loaded.dataset.train.n_rows(), 8);
}

fn check_error(change: impl Fn(&Path), expected: &str) {
    let folder = folder();
    change(folder.path());
    let error = kuairand::load(folder.path(), FeatureSet::Rich).unwrap_err().to_string();
    let error = error.replace(&folder.path().display().to_string(), "DIR");
    assert_eq!(error, expected);
}

#[test]
fn what_is_wrong_is_named() {
    let log = "log_standard_4_28_to_4_30_pure.csv";
    let edit = |name: &'static str, from: &'static str, to: &'static str| {
        move |folder: &Path| {
            let path = folder.join(name);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from));
            fs::write(path, text.replace(from, to)).unwrap();
        }
    };
    check_error(
        edit(log, "long_view", "longview"),
        "DIR/log_standard_4_28_to_4_30_pure.csv: there is no column `long_view` (needed by the \
         KuaiRand log); did you mean `longview`?",
    );
    check_error(
        edit("user_features_pure.csv", "is_video_author", "video_author"),
        "DIR/user_features_pure.csv: there is no column `is_video_author` (needed by KuaiRand's \
         features); did you mean `video_author`?",
    );
    check_error(
        edit(log, "20220429", "20220431"),
        "DIR/log_standard_4_28_to_4_30_pure.csv: row 5, column `date`: found `20220431`, expected \
         a date such as 20220503",
    );
    check_error(
        edit(log, ",59,1,1,", ",59,1,2,"),
        "DIR/log_standard_4_28_to_4_30_pure.csv: row 2, column `is_click`: found `2`, expected 0 \
         or 1",
    );
    check_error(
        edit("video_features_basic_pure.csv", "12,2,AD", "11,2,AD"),
        "DIR/video_features_basic_pure.csv: row 3, column `video_id`: found `11`, expected each \
         id once",
    );
    check_error(
        edit("video_features_basic_pure.csv", "2022-04-28", "yesterday"),
        "DIR/video_features_basic_pure.csv: row 4, column `upload_dt`: found `yesterday`, expected \
         a date such as 2022-04-10",
    );
    check_error(
        |folder| fs::remove_file(folder.join("log_standard_5_01_to_5_04_pure.csv.gz")).unwrap(),
        "DIR/log_standard_4_28_to_4_30_pure.csv: the log has 3 days, expected at least 6",
    );
}

/// The part of KuaiRand-Pure of 25 April to 8 May 2022, in the folder `MTL_KUAIRAND_DIR`.
#[test]
fn the_real_log_has_its_rows_and_rates() {
    let Some(folder) = std::env::var_os("MTL_KUAIRAND_DIR") else {
        eprintln!("skipped: MTL_KUAIRAND_DIR does not say where KuaiRand-Pure is");
        return;
    };
    let Loaded { dataset, summary, .. } = kuairand::load(folder, FeatureSet::Rich).unwrap();
    let parts = [&dataset.train, &dataset.validation, &dataset.test];
    assert_eq!(parts.map(FeatureTable::n_rows), [150_055, 30_329, 42_485]);
    assert_eq!((summary.validation_from, summary.test_from), (20220504, 20220506));
    assert_eq!((summary.duplicates, summary.without_user, summary.without_video), (0, 0, 0));
    let count = |name: &str| {
        let labels = parts.iter().flat_map(|table| table.label_of(name).unwrap());
        labels.map(|&label| f64::from(label)).sum::<f64>()
    };
    let percent = |name: &str| (count(name) / 222_869.0 * 1e4).round() / 100.0;
    assert_eq!(["is_click", "long_view", "is_like"].map(percent), [44.90, 31.64, 1.74]);
    // 17.8 % of likes and .35 % of long views come without a click.
    let lost = |raw: &str, chained: &str| 1.0 - count(chained) / count(raw);
    assert!((lost("is_like", "click_like") - 0.178).abs() < 5e-4);
    assert!((lost("long_view", "click_long_view") - 0.0035).abs() < 5e-5);
}
